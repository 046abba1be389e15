package folder

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Dir is an open directory. Names are slash-separated and relative to it.
type Dir struct {
	path string   // as the caller named it
	root *os.Root // what no link leads out of
	sub  string   // the directory in root, "." for root itself
}

// Open opens a directory. The folder of a repository in Hugging Face's cache
// (models--OWNER--NAME, with refs and snapshots) stands for the snapshot that refs/main
// names.
func Open(dir string) (*Dir, error) {
	at := dir
	if rev, ok := mainSnapshot(dir); ok {
		at = filepath.Join(dir, "snapshots", rev)
	}
	top, sub := confines(at)
	root, err := os.OpenRoot(top)
	if err != nil {
		return nil, err
	}
	return &Dir{path: dir, root: root, sub: sub}, nil
}

// confines is the directory that links in dir may not leave, and dir's place in it.
func confines(dir string) (top, sub string) {
	real, err := filepath.Abs(dir)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return dir, "."
	}
	snapshots := filepath.Dir(real)
	repository := filepath.Dir(snapshots)
	if st, err := os.Lstat(filepath.Join(repository, "blobs")); err != nil || !st.IsDir() || filepath.Base(snapshots) != "snapshots" {
		return dir, "."
	}
	return repository, path.Join("snapshots", filepath.Base(real))
}

// mainSnapshot is the snapshot that a repository's folder in the cache calls main.
func mainSnapshot(dir string) (string, bool) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", false
	}
	defer root.Close()
	st, err := root.Stat("refs/main")
	if err != nil || !st.Mode().IsRegular() || st.Size() > 256 {
		return "", false
	}
	text, err := root.ReadFile("refs/main")
	rev := strings.TrimSpace(string(text))
	if err != nil || rev == "" || rev == "." || rev == ".." || strings.ContainsAny(rev, `/\`) {
		return "", false
	}
	if st, err := root.Stat("snapshots/" + rev); err != nil || !st.IsDir() {
		return "", false
	}
	return rev, true
}

// Name is the directory as the caller named it.
func (d *Dir) Name() string { return d.path }

// Open opens a file for reading.
func (d *Dir) Open(name string) (*os.File, error) { return d.root.Open(path.Join(d.sub, name)) }

// OpenFile is os.Root's OpenFile.
func (d *Dir) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return d.root.OpenFile(path.Join(d.sub, name), flag, perm)
}

// Stat follows links, as far as they stay inside.
func (d *Dir) Stat(name string) (fs.FileInfo, error) { return d.root.Stat(path.Join(d.sub, name)) }

// FS is the directory as a file system.
func (d *Dir) FS() fs.FS {
	all := d.root.FS()
	if d.sub == "." {
		return all
	}
	in, err := fs.Sub(all, d.sub)
	if err != nil {
		panic("folder: " + err.Error()) // confines gives valid names only
	}
	return in
}

// Close closes the directory. Files that were opened stay open.
func (d *Dir) Close() error { return d.root.Close() }
