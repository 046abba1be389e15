//go:build !unix

package checkpoint

import (
	"io"
	"os"
)

// mapping is a file of a known size. Here files are read in chunks instead of
// being mapped.
type mapping struct {
	f    *os.File
	size int64
	data []byte // nil: nothing is mapped
}

func mapFile(f *os.File, size int64) *mapping { return &mapping{f: f, size: size} }

// view is n bytes at off, read into buf.
func (m *mapping) view(off int64, n int, buf []byte) ([]byte, error) {
	_, err := io.ReadFull(io.NewSectionReader(m.f, off, int64(n)), buf[:n])
	return buf[:n], err
}

func (m *mapping) drop(int64, int) {}

func (m *mapping) close() error { return nil }

func guard(f func() error) error { return f() }
