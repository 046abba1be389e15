// Command house measures a source tree of this project: lines by package, the sizes of
// files and functions, and prints them as a column of docs/results/house.md.
// scripts/house.sh adds what needs a build.
//
//	go run ./scripts/house [DIR]
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tree is what was counted.
type tree struct {
	lines               map[string]int // of code, by package
	code, tests, asm    int
	files               []file
	functions           int
	long, wide          []string // functions over 60 lines, and of more than 5 parameters
	exported, inCommand int      // exported names; files of cmd that import kernel or graph
}

type file struct {
	name  string
	lines int
}

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	t := tree{lines: map[string]int{}}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			if rel == "scripts" || rel == "examples" || d.Name() == "testdata" || rel != "." && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		return t.add(path, filepath.ToSlash(rel))
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	t.print()
}

func (t *tree) add(path, name string) error {
	ext := filepath.Ext(name)
	if ext != ".go" && ext != ".s" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n := bytes.Count(text, []byte("\n"))
	switch {
	case ext == ".s":
		t.asm += n
		return nil
	case strings.HasSuffix(name, "_test.go"):
		t.tests += n
		return nil
	}
	t.code += n
	t.lines[filepath.ToSlash(filepath.Dir(name))] += n
	t.files = append(t.files, file{name, n})
	return t.parse(name, text)
}

func (t *tree) parse(name string, text []byte) error {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, 0)
	if err != nil {
		return err
	}
	if strings.HasPrefix(name, "cmd/") && slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool {
		return strings.HasSuffix(i.Path.Value, `pkg/kernel"`) || strings.HasSuffix(i.Path.Value, `pkg/graph"`)
	}) {
		t.inCommand++
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		t.functions++
		if fn.Name.IsExported() {
			t.exported++
		}
		lines := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1
		params := 0
		for _, p := range fn.Type.Params.List {
			params += max(1, len(p.Names))
		}
		at := fmt.Sprintf("%s:%s", name, fn.Name.Name)
		if lines > 60 {
			t.long = append(t.long, fmt.Sprintf("%s (%d)", at, lines))
		}
		if params > 5 {
			t.wide = append(t.wide, fmt.Sprintf("%s (%d)", at, params))
		}
	}
	return nil
}

func (t *tree) print() {
	slices.SortFunc(t.files, func(a, b file) int { return cmp.Compare(a.lines, b.lines) })
	largest := t.files[len(t.files)-1]
	inCmd := file{}
	for _, f := range t.files {
		if strings.HasPrefix(f.name, "cmd/") {
			inCmd = f // the last is the largest
		}
	}
	for _, r := range []struct {
		what  string
		value any
	}{
		{"lines of code", t.code}, {"lines of tests", t.tests}, {"lines of assembly", t.asm}, {"packages", len(t.lines)}, {"lines in cmd", t.lines["cmd"]},
		{"largest file of cmd", fmt.Sprintf("%d (%s)", inCmd.lines, inCmd.name)}, {"files of cmd that import kernel or graph", t.inCommand},
		{"median file, lines", t.files[len(t.files)/2].lines}, {"largest file", fmt.Sprintf("%d (%s)", largest.lines, largest.name)},
		{"functions", t.functions}, {"functions over 60 lines", len(t.long)}, {"functions of more than 5 parameters", len(t.wide)}, {"exported functions and methods", t.exported},
	} {
		fmt.Printf("| %s | %v |\n", r.what, r.value)
	}
	fmt.Println()
	for _, p := range slices.Sorted(func(yield func(string) bool) {
		for p := range t.lines {
			if !yield(p) {
				return
			}
		}
	}) {
		fmt.Printf("| %s | %d |\n", p, t.lines[p])
	}
	fmt.Println()
	for _, s := range t.long {
		fmt.Println("over 60 lines:", s)
	}
}
