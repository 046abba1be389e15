package checkpoint

import (
	"errors"
	"io"
	"os"
)

// Layer is what changes the disk: every operation by which a checkpoint comes
// about goes through it, so that tests can make each of them fail, or stop the
// world before it. Reading does not go through it.
type Layer interface {
	// Mkdir makes a directory that must be new.
	Mkdir(dir string) error
	// Create makes a file that must be new.
	Create(path string) (LayerFile, error)
	// Rename gives a file or directory another name, in one step; a file that
	// has the name makes way.
	Rename(from, to string) error
	// Exchange gives two paths each other's names, in one step; it fails with
	// errors.ErrUnsupported where the system cannot.
	Exchange(a, b string) error
	// Symlink makes a symbolic link that must be new.
	Symlink(target, link string) error
	// RemoveAll removes a path and what is in it; a missing path is no error.
	RemoveAll(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// LayerFile is a file that is being written.
type LayerFile interface {
	io.Writer
	Sync() error
	Close() error
}

// System is the operating system's Layer, for others to wrap.
func System() Layer { return osLayer{} }

// osLayer is the operating system's.
type osLayer struct{}

func (osLayer) Mkdir(dir string) error            { return os.Mkdir(dir, 0o755) }
func (osLayer) Rename(from, to string) error      { return os.Rename(from, to) }
func (osLayer) Exchange(a, b string) error        { return exchange(a, b) }
func (osLayer) Symlink(target, link string) error { return os.Symlink(target, link) }
func (osLayer) RemoveAll(path string) error       { return os.RemoveAll(path) }

func (osLayer) Create(path string) (LayerFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osLayer) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !isInvalid(err) {
		return err
	}
	return nil
}
