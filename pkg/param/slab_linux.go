package param

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// hugePage is the size from which transparent huge pages are asked for:
	// fresh 4 KiB pages cost this class of machine 0.4 to 1.8 GB/s.
	hugePage = 2 << 20
)

// mapping is anonymous memory from the kernel.
type mapping struct {
	bytes []byte // what is still mapped
}

func mapMemory(n int) mapping {
	if n == 0 {
		return mapping{}
	}
	n = roundUp(n)
	// Without reserving: a slab whose blocks are stored in smaller types is hardly touched,
	// and may be larger than the machine's memory.
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		// As with the Go heap, running out of memory here is fatal; callers
		// compare their plan with the machine before they get this far.
		panic(fmt.Sprintf("param: map %d bytes: %v", n, err))
	}
	b := unsafe.Slice((*byte)(base), n)
	if n >= hugePage {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a wish: without it the memory works all the same
	}
	return mapping{b}
}

// mapAligned is memory that begins at a huge page.
func mapAligned(n int) mapping {
	m := mapMemory(n + hugePage)
	head := m.cut(-int(uintptr(unsafe.Pointer(&m.bytes[0]))) & (hugePage - 1))
	tail := m
	m = tail.cut(n)
	head.release(0)
	tail.release(0)
	return m
}

// size is the bytes that are mapped.
func (m *mapping) size() int { return len(m.bytes) }

// cut takes the first n bytes, whole pages, out of m.
func (m *mapping) cut(n int) mapping {
	c := mapping{m.bytes[:n:n]}
	m.bytes = m.bytes[n:]
	return c
}

func (m *mapping) floats(n int) []float32 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&m.bytes[0])), n)
}

// forget clears what x views, bytes lo to hi, and gives the whole pages of it back.
func (m *mapping) forget(x []float32, lo, hi int) {
	from, to := (lo+page-1)/page*page, hi/page*page
	if from >= to {
		clear(x)
		return
	}
	clear(x[:(from-lo)/4])
	clear(x[(to-lo)/4:])
	_ = unix.Madvise(m.bytes[from:to], unix.MADV_DONTNEED) // private pages read as zeros then
}

// sparse says that little of the memory will be touched: pages are small from here on.
func (m *mapping) sparse() {
	if len(m.bytes) > 0 {
		_ = unix.Madvise(m.bytes, unix.MADV_NOHUGEPAGE) // a wish, as above
	}
}

// release gives back whole pages past the first n bytes.
func (m *mapping) release(n int) {
	n = roundUp(n)
	if n >= len(m.bytes) {
		return
	}
	if n == 0 {
		_ = unix.MunmapPtr(unsafe.Pointer(&m.bytes[0]), uintptr(len(m.bytes)))
		m.bytes = nil
		return
	}
	// The address range stays reserved; the pages are freed.
	_ = unix.Madvise(m.bytes[n:], unix.MADV_DONTNEED)
}
