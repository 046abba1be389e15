//go:build unix

package checkpoint

import (
	"errors"

	"golang.org/x/sys/unix"
)

// isInvalid reports an error by which some filesystems say that directories
// cannot be synced.
func isInvalid(err error) bool { return errors.Is(err, unix.EINVAL) }
