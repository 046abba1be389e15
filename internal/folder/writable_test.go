package folder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "a"), filepath.Join(dir, "no/such/folder/a")} {
		if err := Writable(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Writable(filepath.Join(file, "a")); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), filepath.Join(file, "a")) {
		t.Errorf("below a file: %v", err)
	}
	if _, err := os.Stat("/proc/self"); err == nil {
		if err := Writable("/proc/a"); err == nil || !strings.Contains(err.Error(), "/proc/a") {
			t.Errorf("where nothing can be written: %v", err)
		}
	}
}
