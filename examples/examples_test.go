// Package examples holds programs that use ecospa as a library.
package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCriterion builds and runs examples/criterion, which is a module of its own: in a
// copy, so that the go command may write the versions that ecospa needs today into its
// go.mod.
func TestCriterion(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, err := filepath.Glob("criterion/*")
	if err != nil || len(files) < 4 {
		t.Fatalf("examples/criterion: %q, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		to := strings.Replace(string(text), "=> ../..", "=> "+root, 1)
		if filepath.Base(f) == "go.sum" { // of the modules that ecospa itself needs
			sums, err := os.ReadFile("../go.sum")
			if err != nil {
				t.Fatal(err)
			}
			to += string(sums)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), []byte(to), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command("go", "run", ".")
	run.Dir = dir
	run.Env = append(os.Environ(), "GOFLAGS=-trimpath -mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text := string(out); !strings.Contains(text, "parameters of 23840 are left") {
		t.Errorf("it printed:\n%s", text)
	}
}
