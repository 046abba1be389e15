package checkpoint

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// resident is a line of /proc/self/status, in bytes: VmRSS, or VmHWM, its peak.
func resident(t *testing.T, key string) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kb int64
		if rest, ok := strings.CutPrefix(s.Text(), key+":"); ok {
			if _, err := fmt.Sscanf(rest, "%d kB", &kb); err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no %s", key)
	return 0
}

// TestNoSecondCopy holds what reading and writing a model of 128 MB cost beyond
// its weights: a few chunks, not a second copy, mapped or not.
func TestNoSecondCopy(t *testing.T) {
	const rows, cols = 4096, 4096
	shapes := map[string][]int{"a": {rows, cols}, "b": {rows, cols}}
	tensors := []Tensor{{Name: "x", Parts: []Part{{Param: "a", Perm: nil}}}, {Name: "y", Parts: []Part{{Param: "b", Perm: []int{1, 0}}}}}
	set := fill(t, shapes, "a", "b")
	dir := filepath.Join(t.TempDir(), "m")
	peak := func(what string, f func() error) {
		t.Helper()
		runtime.GC()
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			t.Skipf("the peak of the resident set cannot be reset here: %v", err)
		}
		before := resident(t, "VmRSS")
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if more := resident(t, "VmHWM") - before; more > 24<<20 {
			t.Errorf("%s takes %d MB beyond the weights of %d MB", what, more>>20, 4*set.Count()>>20)
		}
	}
	file := File{Name: weightsFile, Write: func(w io.Writer) error { return WriteWeights(w, set, tensors, "F32") }}
	peak("writing", func() error { return WriteDir(dir, []File{file}) })
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	peak("checking", func() error { return Verify(root) })
	peak("reading", func() error { return ReadWeights(root, set, tensors, nil) })
	if v := set.Param("b").Data()[cols+1]; v != float32(rows*cols+cols+2) {
		t.Errorf("an element is %g", v)
	}
}
