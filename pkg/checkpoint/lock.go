package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// lockFile is the file in a run directory that its process holds locked.
const lockFile = ".lock"

// ErrLocked is returned when another process has the run directory.
var ErrLocked = errors.New("another process is using it")

// lock is a locked file. The system lets go of it when the process ends, however
// it ends; the file is removed when the lock is released in order.
type lock struct{ f *os.File }

// takeLock locks the file at path, making it where needed.
func takeLock(path string) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if err := lockHandle(f); err != nil {
			owner, _ := io.ReadAll(io.LimitReader(f, 64)) // only for the message
			f.Close()
			if errors.Is(err, ErrLocked) && len(owner) > 0 {
				return nil, fmt.Errorf("%w (%s)", err, strings.TrimSpace(string(owner)))
			}
			return nil, err
		}
		// Whoever had it before may have removed the file meanwhile.
		mine, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if now, err := os.Stat(path); err != nil || !os.SameFile(mine, now) {
			f.Close()
			continue
		}
		if err := f.Truncate(0); err == nil {
			_, _ = fmt.Fprintf(f, "process %d\n", os.Getpid()) // only for messages
		}
		return &lock{f}, nil
	}
}

func (l *lock) release() error {
	_ = os.Remove(l.f.Name()) // where the system allows; an unlocked file does no harm
	return l.f.Close()
}
