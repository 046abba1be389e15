package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// promises are the files that one more of a kind takes (docs/architecture.md): an example
// of each, the files that it is made of (their tests apart), the names that stand for it
// where it is used by name, and the files that one line is added to.
var promises = []struct {
	kind    string
	files   []string
	literal string   // its name in files and flags; empty for none
	touched []string // files that may name it besides
}{
	{"an operation", []string{"pkg/kernel/patches.go", "pkg/graph/op_image.go"}, "", nil},
	{"an importance criterion", []string{"pkg/coupled/magnitude.go"}, "magnitude", nil},
	{"an importance criterion", []string{"pkg/coupled/random.go"}, "random", nil},
	{"a decoder family", []string{"pkg/model/qwen2.go"}, "qwen2", []string{"pkg/tokenizer/patterns.go"}}, // there it is GGUF's name of a pre-tokenizer,
	{"an optimizer", []string{"pkg/optim/sgd.go"}, "sgd", nil},
	{"a learning-rate schedule", []string{"pkg/optim/schedule_wsd.go"}, "wsd", nil},
	{"a data reader", []string{"pkg/data/csv.go"}, ".tsv", nil},
	{"an export format", []string{"pkg/export/onnx.go"}, "onnx", nil},
	{"a subcommand", []string{"cmd/doctor.go"}, "", []string{"cmd/root.go"}},
	{"an experiment", []string{"configs/compare-coupling.yaml"}, "compare-coupling", nil},
}

// TestOneFileApiece adds up who knows the examples: what an example's files declare is
// used nowhere else in their packages, and its name is written in no other file. What
// methods on a package's own types are called (an operation's by models) is use.
func TestOneFileApiece(t *testing.T) {
	files := map[string]*ast.File{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (name == "scripts" || name == "examples" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files[filepath.ToSlash(name)], err = parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range promises {
		for _, own := range p.files {
			names := map[string]bool{}
			if f := files[own]; f != nil {
				names = declared(f)
			} else if _, err := os.Stat(own); err != nil || path.Ext(own) == ".go" {
				t.Errorf("%s: there is no %s", p.kind, own)
				continue
			}
			for other, g := range files {
				if slices.Contains(p.files, other) || slices.Contains(p.touched, other) {
					continue
				}
				where := p.kind + ": " + other
				inside := path.Dir(other) == path.Dir(own)
				var visit func(n ast.Node) bool
				visit = func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.SelectorExpr: // x.Name is a field, a method or another package's
						ast.Inspect(n.X, visit)
						return false
					case *ast.Ident:
						if inside && names[n.Name] {
							t.Errorf("%s uses %s of %s", where, n.Name, own)
						}
					case *ast.BasicLit:
						if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && p.literal != "" && s == p.literal {
							t.Errorf("%s names %q, which is %s's", where, s, own)
						}
					}
					return true
				}
				ast.Inspect(g, visit)
			}
		}
	}
}

// declared are the package-level names of a file, without methods.
func declared(f *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name != "init" {
				names[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names[n.Name] = true
					}
				}
			}
		}
	}
	delete(names, "_")
	return names
}
