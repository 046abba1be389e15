package folder

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// cache lays a repository as Hugging Face's cache does, with one link that leads out.
func cache(t *testing.T) (repository, snapshot string) {
	t.Helper()
	top := t.TempDir()
	repository = filepath.Join(top, "models--acme--tiny")
	snapshot = filepath.Join(repository, "snapshots", "0123abcd")
	for _, d := range []string{snapshot, filepath.Join(repository, "blobs"), filepath.Join(repository, "refs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		filepath.Join(top, "secret"):                     "secret",
		filepath.Join(repository, "blobs", "c0ffee"):     "config",
		filepath.Join(repository, "refs", "main"):        "0123abcd\n",
		filepath.Join(repository, "refs", "wild", "out"): "",
	} {
		_ = os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"config.json": "../../blobs/c0ffee", "out": "../../../secret", "absolute": filepath.Join(top, "secret"),
	} {
		if err := os.Symlink(to, filepath.Join(snapshot, name)); err != nil {
			t.Fatal(err)
		}
	}
	return repository, snapshot
}

func TestLinksOfTheCache(t *testing.T) {
	repository, snapshot := cache(t)
	elsewhere := filepath.Join(t.TempDir(), "model")
	if err := os.Symlink(snapshot, elsewhere); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{snapshot, repository, elsewhere} {
		d, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		text, err := fs.ReadFile(d.FS(), "config.json")
		if err != nil || string(text) != "config" {
			t.Errorf("%s: config.json reads %q, %v", dir, text, err)
		}
		if st, err := d.Stat("config.json"); err != nil || st.Size() != 6 {
			t.Errorf("%s: Stat: %v", dir, err)
		}
		for _, name := range []string{"out", "absolute", "../../../secret"} {
			if f, err := d.Open(name); err == nil {
				f.Close()
				t.Errorf("%s: %s led out of the cache", dir, name)
			}
		}
		if d.Name() != dir {
			t.Errorf("Name is %s, expected %s", d.Name(), dir)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A directory of another layout is its own boundary, whatever stands beside it.
func TestLinksElsewhere(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "snapshots", "model") // no blobs beside snapshots
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(top, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../secret", filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if f, err := d.Open("config.json"); err == nil {
		f.Close()
		t.Error("a link led out of a directory that is no snapshot")
	}
}

// TestMainNamesASnapshot: refs/main is text from outside.
func TestMainNamesASnapshot(t *testing.T) {
	repository, _ := cache(t)
	for _, bad := range []string{"", "..", "../..", "none"} {
		if err := os.WriteFile(filepath.Join(repository, "refs", "main"), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := Open(repository)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Stat("config.json"); err == nil {
			t.Errorf("refs/main of %q led to a snapshot", bad)
		}
		d.Close()
	}
}
