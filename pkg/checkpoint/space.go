package checkpoint

import (
	"errors"
	"fmt"
)

// ErrSpace is returned when a filesystem has less room than checkpoints need.
var ErrSpace = errors.New("not enough room on the disk")

// Room reports whether the filesystem of path has room for bytes more. Where the
// system does not say how much is free, known is false and err nil.
func Room(path string, bytes int64) (known bool, err error) {
	free, known, err := Free(path)
	if err == nil && known && free < bytes {
		err = fmt.Errorf("%w: %s needs %d MB for checkpoints, %d MB are free", ErrSpace, path, ceilMB(bytes), free/1e6)
	}
	return known, err
}

func ceilMB(n int64) int64 { return (n + 1e6 - 1) / 1e6 }
