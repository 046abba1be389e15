package checkpoint

import (
	"io/fs"
	"os"
)

// Root is an open directory that nothing is read outside of, not through links either:
// an *os.Root, or a folder.Dir.
type Root interface {
	// Name is the directory's path, for messages.
	Name() string
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	Stat(name string) (fs.FileInfo, error)
}
