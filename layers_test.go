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

// layers says who may import whom: a package may import every package named
// on its line, and what those may import. Imports point down. Relaxing a line
// needs a reason in the commit that does it.
var layers = map[string]string{
	"internal/fault":    "",
	"internal/units":    "",
	"internal/sysmem":   "",
	"pkg/kernel":        "",
	"pkg/kernel/blas":   "pkg/kernel",
	"pkg/param":         "",
	"pkg/tokenizer":     "",
	"pkg/parquet":       "",
	"internal/folder":   "",
	"pkg/data":          "pkg/tokenizer pkg/parquet internal/folder",
	"pkg/optim":         "pkg/kernel pkg/param", // an update is a kernel over slabs
	"pkg/coupled":       "pkg/param",
	"pkg/checkpoint":    "pkg/param",
	"pkg/graph":         "pkg/kernel pkg/param internal/onnx",
	"pkg/model":         "pkg/graph pkg/checkpoint", // a family knows its names on disk
	"internal/dist":     "",
	"internal/mpi":      "internal/dist",
	"pkg/bundle":        "pkg/train internal/fault internal/folder", // adapters are train's
	"pkg/workload":      "pkg/bundle internal/fault internal/dist",
	"pkg/infer":         "pkg/model",
	"internal/gguf":     "pkg/checkpoint",
	"internal/onnx":     "pkg/checkpoint",
	"internal/onnxtest": "internal/onnx", // only tests import it
	"pkg/export":        "pkg/model pkg/coupled internal/gguf internal/onnx",
	"pkg/prune":         "pkg/data pkg/model pkg/coupled internal/dist", // a calibration is shared by ranks
	"pkg/train":         "pkg/data pkg/model pkg/optim pkg/prune internal/dist internal/sysmem",
	"internal/report":   "pkg/config",
	"pkg/config":        "pkg/train",
	"cmd":               "pkg/bundle pkg/workload pkg/config internal/fault internal/units pkg/infer pkg/prune pkg/export pkg/kernel/blas internal/report internal/mpi",
	".":                 "cmd",
}

// only says which packages may import an outside module.
var only = map[string]string{
	"gorgonia.org/":                        "pkg/graph pkg/model",
	"github.com/urfave/cli":                "cmd",
	"github.com/schollz/progressbar":       "cmd",
	"gonum.org/v1/plot":                    "", // its fonts, LaTeX and PDF engines are 4 MB
	"github.com/klauspost/compress":        "pkg/parquet",
	"github.com/ebitengine/purego":         "internal/mpi",
	"golang.org/x/image/font":              "internal/report",
	"gopkg.in/yaml.v3":                     "pkg/config",
	"github.com/mmcloughlin/avo":           "",
	"os/exec":                              "",
	"net":                                  "", // and all below it: no network access anywhere
	"github.com/ecospa/ecospa/pkg/kernel/": "cmd",
}

func allowed(pkg string) map[string]bool {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(p string) {
		for _, d := range strings.Fields(layers[p]) {
			if !seen[d] {
				seen[d] = true
				walk(d)
			}
		}
	}
	walk(pkg)
	return seen
}

func TestImportsPointDown(t *testing.T) {
	const module = "github.com/ecospa/ecospa"
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path == "scripts" || strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || d.Name() == "runs") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		pkg := filepath.ToSlash(filepath.Dir(path))
		if _, ok := layers[pkg]; !ok {
			t.Errorf("%s: package %s has no line in the table", path, pkg)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			to, _ := strconv.Unquote(im.Path.Value)
			for prefix, by := range only {
				if strings.HasPrefix(to, prefix) && !strings.Contains(" "+by+" ", " "+pkg+" ") {
					t.Errorf("%s imports %s, which is left to %q", path, to, by)
				}
			}
			if !strings.HasPrefix(to, module) {
				continue
			}
			to = strings.TrimPrefix(strings.TrimPrefix(to, module), "/")
			if !allowed(pkg)[to] {
				t.Errorf("%s: %s may not import %s", path, pkg, to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("looked at %d files only", files)
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
