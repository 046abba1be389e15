//go:build !unix

package mapped

import (
	"io"
	"os"
)

// File is a file of a known size. Here files are read in chunks instead of
// being mapped.
type File struct {
	*os.File
	size int64
	data []byte // nil: nothing is mapped
}

// Map is the first size bytes of f. It does not own f.
func Map(f *os.File, size int64) *File { return &File{File: f, size: size} }

// View is n bytes at off, read into buf.
func (m *File) View(off int64, n int, buf []byte) ([]byte, error) {
	_, err := io.ReadFull(io.NewSectionReader(m.File, off, int64(n)), buf[:n])
	return buf[:n], err
}

// Drop says that bytes are not needed any more.
func (m *File) Drop(int64, int) {}

// Close gives the mapping up; the file stays open.
func (m *File) Close() error { return nil }

// Guard runs f, which looks at views.
func Guard(f func() error) error { return f() }
