//go:build unix

package mapped

import (
	"io"
	"math"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// File is a file of a known size, mapped into memory: pages are read when
// they are looked at and given back by Drop, so that the resident set never
// holds more than the few chunks that are being copied.
type File struct {
	*os.File
	size int64
	data []byte // nil on filesystems that cannot map files
}

// Map maps the first size bytes of f. It does not own f.
func Map(f *os.File, size int64) *File {
	m := &File{File: f, size: size}
	if size > 0 && size <= math.MaxInt {
		if b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED); err == nil {
			m.data = b
		}
	}
	return m
}

// View is n bytes at off; buf, of at least n bytes, holds them where the file
// is not mapped. A view is read inside of Guard.
func (m *File) View(off int64, n int, buf []byte) ([]byte, error) {
	if m.data != nil {
		return m.data[off : off+int64(n) : off+int64(n)], nil
	}
	_, err := io.ReadFull(io.NewSectionReader(m.File, off, int64(n)), buf[:n])
	return buf[:n], err
}

// Drop says that n bytes at off are not needed any more.
func (m *File) Drop(off int64, n int) {
	if m.data == nil {
		return
	}
	page := int64(os.Getpagesize())
	lo, hi := (off+page-1)/page*page, (off+int64(n))/page*page
	if off+int64(n) == m.size {
		hi = m.size
	}
	if lo < hi {
		_ = unix.Madvise(m.data[lo:hi], unix.MADV_DONTNEED) // a wish: without it more stays resident
	}
}

// Close gives the mapping up; the file stays open.
func (m *File) Close() error {
	if m.data == nil {
		return nil
	}
	b := m.data
	m.data = nil
	return unix.Munmap(b)
}

// Guard runs f, which looks at views, on this goroutine. A page that cannot be read, because the
// file has been cut short meanwhile or the disk fails, is an error and not the
// end of the process: ErrFault.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface {
			error
			Addr() uintptr
		}:
			err = ErrFault
		default:
			panic(r)
		}
	}()
	return f()
}
