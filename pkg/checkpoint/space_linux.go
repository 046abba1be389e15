package checkpoint

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Free is the bytes that this process may still write to the filesystem of path,
// which need not exist yet. known is false where the system does not say.
func Free(path string) (bytes int64, known bool, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return 0, false, err
	}
	for {
		var s unix.Statfs_t
		err := unix.Statfs(path, &s)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOENT) && path != filepath.Dir(path):
			path = filepath.Dir(path)
		case err != nil:
			return 0, false, &os.PathError{Op: "statfs", Path: path, Err: err}
		default:
			return int64(s.Bavail) * int64(s.Bsize), s.Blocks > 0, nil
		}
	}
}
