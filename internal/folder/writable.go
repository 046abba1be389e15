package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Writable reports why nothing can be made at path: it is tried in the nearest folder
// above that is there, and leaves nothing behind.
func Writable(path string) error {
	dir := filepath.Dir(filepath.Clean(path))
	for {
		tmp, err := os.MkdirTemp(dir, ".tmp-")
		if err == nil {
			return os.Remove(tmp)
		}
		up := filepath.Dir(dir)
		if _, missing := os.Stat(dir); !errors.Is(missing, fs.ErrNotExist) || up == dir {
			var cause *fs.PathError
			if errors.As(err, &cause) {
				return &fs.PathError{Op: "write", Path: path, Err: cause.Err}
			}
			return err
		}
		dir = up
	}
}
