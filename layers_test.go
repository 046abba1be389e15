package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layers is the floor plan: what every package imports of this module, tests left
// out. A package that imports more or less than its line says fails
// TestImportsAreTheTable: widening a line is a decision, which needs a reason in the
// commit that makes it. docs/architecture.svg is drawn from this table.
var layers = pairs([][2]string{
	{"internal/dist", ""},
	{"internal/fault", ""},
	{"internal/folder", ""},
	{"internal/jinja", ""},
	{"internal/mapped", ""},
	{"internal/priority", ""},
	{"internal/progress", "internal/units pkg/prune pkg/run"},
	{"internal/shell", "internal/fault internal/priority"},
	{"internal/sysmem", ""},
	{"internal/tfevents", ""},
	{"internal/units", ""},
	{"pkg/kernel", ""},
	{"pkg/tokenizer", ""},
	{"internal/dist/disttest", "internal/dist"},
	{"internal/mpi", "internal/dist"},
	{"pkg/chat", "internal/jinja pkg/tokenizer"},
	{"pkg/data", "internal/fault internal/folder internal/mapped pkg/chat pkg/tokenizer"},
	{"pkg/kernel/blas", "pkg/kernel"},
	{"pkg/param", "pkg/kernel"},
	{"pkg/checkpoint", "internal/folder internal/mapped pkg/param"},
	{"pkg/coupled", "pkg/kernel pkg/param"},
	{"pkg/optim", "pkg/kernel pkg/param"},
	{"internal/gguf", "pkg/checkpoint"},
	{"internal/onnx", "pkg/checkpoint"},
	{"internal/onnxtest", "internal/onnx pkg/checkpoint"},
	{"pkg/graph", "internal/onnx pkg/checkpoint pkg/kernel pkg/param"},
	{"pkg/model", "internal/fault pkg/checkpoint pkg/graph pkg/kernel pkg/param"},
	{"internal/ggufmodel", "internal/gguf pkg/checkpoint pkg/model pkg/param"},
	{"pkg/infer", "pkg/graph pkg/kernel pkg/model pkg/param"},
	{"pkg/prune", "internal/dist internal/fault internal/sysmem internal/units pkg/checkpoint pkg/coupled pkg/data pkg/graph pkg/kernel pkg/model pkg/param pkg/recovery"},
	{"pkg/recovery", "internal/units pkg/data pkg/graph pkg/kernel pkg/model pkg/optim pkg/param"},
	{"pkg/export", "internal/gguf internal/ggufmodel internal/onnx internal/units pkg/checkpoint pkg/coupled pkg/graph pkg/kernel pkg/model pkg/param pkg/tokenizer"},
	{"pkg/train", "internal/dist internal/sysmem pkg/checkpoint pkg/coupled pkg/data pkg/graph pkg/kernel pkg/model pkg/optim pkg/param pkg/prune"},
	{"internal/bench", "internal/dist internal/sysmem internal/units pkg/config pkg/coupled pkg/data pkg/graph pkg/infer pkg/kernel pkg/model pkg/optim pkg/param pkg/train"},
	{"pkg/bundle", "internal/fault internal/folder internal/gguf internal/ggufmodel internal/units pkg/chat pkg/checkpoint pkg/graph pkg/kernel pkg/model pkg/param pkg/tokenizer"},
	{"pkg/config", "pkg/checkpoint pkg/coupled pkg/data pkg/model pkg/optim pkg/param pkg/tokenizer pkg/train"},
	{"internal/report", "internal/fault internal/units pkg/checkpoint pkg/config pkg/coupled pkg/prune pkg/train"},
	{"pkg/serve", "internal/fault internal/units pkg/bundle pkg/chat pkg/infer pkg/kernel pkg/model pkg/param pkg/tokenizer"},
	{"pkg/workload", "internal/dist internal/fault internal/sysmem internal/units pkg/bundle pkg/checkpoint pkg/coupled pkg/data pkg/export pkg/graph pkg/infer pkg/kernel pkg/model pkg/param pkg/prune pkg/recovery pkg/tokenizer pkg/train"},
	{"pkg/run", "configs internal/dist internal/fault internal/sysmem internal/tfevents internal/units pkg/bundle pkg/chat pkg/checkpoint pkg/config pkg/coupled pkg/data pkg/graph pkg/infer pkg/kernel pkg/kernel/blas pkg/model pkg/optim pkg/param pkg/tokenizer pkg/train pkg/workload"},
	{"pkg/lab", "internal/bench internal/dist internal/fault internal/report internal/sysmem internal/units pkg/bundle pkg/checkpoint pkg/config pkg/coupled pkg/data pkg/graph pkg/infer pkg/kernel pkg/model pkg/param pkg/prune pkg/recovery pkg/run pkg/tokenizer pkg/train pkg/workload"},
	{"configs", ""},
	{"cmd", "configs internal/bench internal/dist internal/fault internal/folder internal/mpi internal/progress internal/report internal/shell internal/sysmem internal/units pkg/bundle pkg/checkpoint pkg/config pkg/coupled pkg/data pkg/export pkg/graph pkg/infer pkg/kernel pkg/lab pkg/model pkg/param pkg/prune pkg/run pkg/serve pkg/tokenizer pkg/train pkg/workload"},
	{".", "cmd"},
})

// pairs makes a map of lines that gofmt does not align, so that changes of different
// lines merge.
func pairs(lines [][2]string) map[string]string {
	m := map[string]string{}
	for _, l := range lines {
		m[l[0]] = l[1]
	}
	return m
}

// only says which packages may import an outside module.
var only = map[string]string{
	"gorgonia.org/":                        "pkg/graph pkg/model",
	"github.com/urfave/cli":                "cmd internal/shell",
	"github.com/schollz/progressbar":       "internal/progress",
	"gonum.org/v1/plot":                    "", // its fonts, LaTeX and PDF engines are 4 MB
	"github.com/parquet-go/parquet-go":     "pkg/data",
	"github.com/ebitengine/purego":         "internal/mpi",
	"golang.org/x/image/font":              "internal/report",
	"gopkg.in/yaml.v3":                     "pkg/config",
	"github.com/mmcloughlin/avo":           "",
	"os/exec":                              "",
	"net":                                  "pkg/serve", // and all below it: no network access anywhere else
	"github.com/ecospa/ecospa/pkg/kernel/": "pkg/run",
}

// imports are what the files of every package name, without tests and examples.
func imports(t *testing.T, each func(path, pkg, to string)) map[string]bool {
	t.Helper()
	packages := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path == "scripts" || path == "examples" || strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || d.Name() == "runs") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		packages[pkg] = true
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			to, _ := strconv.Unquote(im.Path.Value)
			each(path, pkg, to)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 10 {
		t.Fatalf("looked at %d packages only", len(packages))
	}
	return packages
}

func TestImportsAreTheTable(t *testing.T) {
	const module = "github.com/ecospa/ecospa/"
	real := map[string]map[string]bool{}
	packages := imports(t, func(path, pkg, to string) {
		for prefix, by := range only {
			if strings.HasPrefix(to, prefix) && !strings.Contains(" "+by+" ", " "+pkg+" ") {
				t.Errorf("%s imports %s, which is left to %q", path, to, by)
			}
		}
		if to, ok := strings.CutPrefix(to, module); ok {
			if real[pkg] == nil {
				real[pkg] = map[string]bool{}
			}
			real[pkg][to] = true
		}
	})
	for pkg := range packages {
		if _, ok := layers[pkg]; !ok {
			t.Errorf("package %s has no line in the table", pkg)
		}
	}
	for pkg, line := range layers {
		if !packages[pkg] {
			t.Errorf("the table has a line for %s, where there is no package", pkg)
		}
		said := map[string]bool{}
		for _, d := range strings.Fields(line) {
			said[d] = true
			if !real[pkg][d] {
				t.Errorf("the table says that %s imports %s, and no file of it does", pkg, d)
			}
		}
		for d := range real[pkg] {
			if !said[d] {
				t.Errorf("%s imports %s, which its line in the table does not say", pkg, d)
			}
		}
	}
}

// TestEveryPackageHasADoc holds the rule that a package's nouns are defined in its doc.go.
func TestEveryPackageHasADoc(t *testing.T) {
	for pkg := range layers {
		if pkg == "." {
			continue
		}
		if src, _ := filepath.Glob(filepath.Join(pkg, "*.go")); len(src) == 0 {
			continue // not built yet
		}
		if m, _ := filepath.Glob(filepath.Join(pkg, "doc.go")); len(m) == 0 {
			t.Errorf("%s has no doc.go", pkg)
		}
	}
}

// TestFilesStayShort holds the rule that no Go file is over 500 lines: one that
// grows past it has two subjects.
func TestFilesStayShort(t *testing.T) {
	for pkg := range layers {
		paths, _ := filepath.Glob(filepath.Join(pkg, "*.go"))
		if len(paths) == 0 {
			t.Errorf("%s has no files", pkg)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(text, []byte("\n")); lines > 500 {
				t.Errorf("%s has %d lines, expected at most 500", path, lines)
			}
		}
	}
}
