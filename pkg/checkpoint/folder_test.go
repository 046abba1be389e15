package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFolders: files of a folder are written with the others and vouched for; names that
// lead elsewhere are refused and leave nothing behind.
func TestFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	files := []File{BytesFile("a", []byte("1")), BytesFile("sub/b", []byte("22")), BytesFile("sub/c", nil)}
	if err := WriteDir(dir, files); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if text, err := root.ReadFile("sub/b"); string(text) != "22" || err != nil {
		t.Errorf("sub/b is %q (%v)", text, err)
	}
	if err := Verify(root); err != nil {
		t.Error(err)
	}
	if err := ReplaceDir(dir, files[:2]); err != nil {
		t.Errorf("replaced: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "sub", "c")); err == nil {
		t.Error("sub/c is still there")
	}
	for _, name := range []string{"../x", "/x", "sub/../x", "a/b/c", ".hidden/x", "sub/.x", "sub/", "./x", `sub\x`, "c:x"} {
		to := filepath.Join(t.TempDir(), "model")
		if err := WriteDir(to, []File{BytesFile(name, nil)}); err == nil || !strings.Contains(err.Error(), "no name for a file") {
			t.Errorf("%q: %v", name, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(to)); len(left) > 0 {
			t.Errorf("%q: left %v", name, left)
		}
	}
}

// TestFoldersOfARun: a run directory shows a folder of its newest checkpoint.
func TestFoldersOfARun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := OpenRun(dir, Policy{KeepLast: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for step, text := range []string{"old", "new"} {
		f := BytesFile("sub/b", []byte(text))
		f.Model = true
		if err := r.Save(step+1, -1, []File{f}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "sub", "b")); string(got) != text || err != nil {
			t.Errorf("step %d: %q (%v)", step+1, got, err)
		}
	}
}
