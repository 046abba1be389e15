//go:build unix

package checkpoint

import (
	"errors"

	"golang.org/x/sys/unix"
)

// isInvalid reports an error by which some filesystems say that directories
// cannot be synced, or names not be exchanged.
func isInvalid(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP)
}
