package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// ReplaceDir is WriteDir where an older directory of that name makes way. On
// Linux the two change names in one step; elsewhere, and on filesystems that
// cannot, a process that is killed between two renames leaves the older one
// complete under a name that begins with .tmp-. Only what this package has
// written makes way: a directory with a manifest that names all of its files.
func ReplaceDir(dir string, files []File) error { return Disk{}.ReplaceDir(dir, files) }

// ReplaceDir is the package's ReplaceDir on this disk.
func (d Disk) ReplaceDir(dir string, files []File) error {
	dir = filepath.Clean(dir)
	if vacant(dir) == nil {
		return d.WriteDir(dir, files)
	}
	if err := ours(dir); err != nil {
		return fmt.Errorf("replace %s: %w", dir, err)
	}
	l := d.layer()
	fresh := temporary(dir)
	if err := d.WriteDir(fresh, files); err != nil {
		return err
	}
	old := fresh
	if err := l.Exchange(fresh, dir); err != nil {
		if !errors.Is(err, errors.ErrUnsupported) && !isInvalid(err) {
			_ = l.RemoveAll(fresh)
			return err
		}
		old = temporary(dir)
		err := l.Rename(dir, old)
		if err == nil {
			err = l.Rename(fresh, dir)
		}
		if err != nil { // as it was; on some network filesystems a failed rename has happened
			if _, lerr := os.Lstat(dir); lerr != nil {
				_ = l.Rename(old, dir)
			}
			_ = l.RemoveAll(fresh)
			return err
		}
	}
	if err := l.SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	return l.RemoveAll(old)
}

// ours reports why a directory must not be removed: it holds something that its
// manifest does not name, or has none.
func ours(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	m, err := ReadManifest(root)
	if err != nil {
		return fmt.Errorf("only a model directory of ecospa, with its %s, is replaced: %w", manifestFile, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := m.names(root, e); err != nil {
			return err
		}
	}
	return nil
}

// names fails for an entry of a directory that its manifest does not name, or for a
// folder that holds one.
func (m Manifest) names(root *os.Root, e os.DirEntry) error {
	foreign := func(name string) error {
		return fmt.Errorf("it holds %s, which is not in its %s: %w", name, manifestFile, os.ErrExist)
	}
	if !e.IsDir() {
		if _, ok := m.Files[e.Name()]; !ok && e.Name() != manifestFile {
			return foreign(e.Name())
		}
		return nil
	}
	inside, err := fs.ReadDir(root.FS(), e.Name())
	if err != nil {
		return err
	}
	for _, f := range inside {
		name := path.Join(e.Name(), f.Name())
		if _, ok := m.Files[name]; !ok {
			return foreign(name)
		}
	}
	if len(inside) == 0 {
		return foreign(e.Name())
	}
	return nil
}
