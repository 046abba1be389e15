//go:build unix

package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func makePipe(path string) error { return unix.Mkfifo(path, 0o644) }

// TestFileCutShortWhileRead: the pages of a mapped file that is cut short are
// gone. That is an error, and not the end of the process.
func TestFileCutShortWhileRead(t *testing.T) {
	n := 1 << 18
	set := fill(t, map[string][]int{"a": {n}}, "a")
	root := rootOf(t, map[string][]byte{weightsFile: rawFile(t, f32("x", count(n), int64(n)))})
	w, err := openWeights(root)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	bound, err := bindAll(set, []Tensor{{Name: "x", Parts: []Part{{Param: "a"}}}})
	if err != nil {
		t.Fatal(err)
	}
	jobs, _ := w.match(bound, nil)
	if !jobs[0].from.file.IsMapped() {
		t.Fatal("the file is not mapped")
	}
	if err := os.Truncate(filepath.Join(root.Name(), weightsFile), 8192); err != nil {
		t.Fatal(err)
	}
	var b buffers
	err = guard(func() error { return b.read(jobs[0]) })
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("a file that is cut short: %v", err)
	}
	// Every other panic goes on.
	defer func() {
		if recover() != "other" {
			t.Error("a panic of another kind is swallowed")
		}
	}()
	_ = guard(func() error { panic("other") })
}
