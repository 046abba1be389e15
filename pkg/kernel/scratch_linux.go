package kernel

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapHuge maps n values, a multiple of hugePage, for which it advises huge
// pages: a panel is read from one end to the other by every tile, and with small
// pages that is a miss of the address cache every thousand values.
func mapHuge(n int) []float32 {
	const page = 4 * hugePage
	size := uintptr(4 * n)
	base, err := unix.MmapPtr(-1, 0, nil, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(fmt.Sprintf("kernel: map %d bytes of scratch: %v", size, err))
	}
	head := -uintptr(base) % page // to the first whole huge page
	start := unsafe.Add(base, head)
	if head > 0 {
		_ = unix.MunmapPtr(base, head) // the ends are a loss of address space at worst
	}
	_ = unix.MunmapPtr(unsafe.Add(start, size), page-head)
	s := unsafe.Slice((*float32)(start), n)
	_ = unix.Madvise(unsafe.Slice((*byte)(start), size), unix.MADV_HUGEPAGE) // a wish: it works without
	return s
}

func unmapHuge(s []float32) { _ = unix.MunmapPtr(unsafe.Pointer(&s[0]), uintptr(4*len(s))) }
