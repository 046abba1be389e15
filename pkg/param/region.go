package param

import (
	"os"
	"sync"
)

// page is the least memory that the system gives: 4 KiB mostly, 16 or 64 KiB on some machines with arm64.
var page = os.Getpagesize()

// regionBytes is the size of the pieces of memory that blocks of other types than float32 are cut from.
const regionBytes = 16 << 20

// region is memory for slabs, one after the other. A matrix by itself is often smaller than a huge page, and
// reading it page by page of 4 KiB takes a sixth longer. Each slab gives its memory back by itself.
type region struct {
	mu   sync.Mutex
	left mapping // of the piece at hand
}

// slab makes a zeroed slab of n elements.
func (r *region) slab(n int) *Slab {
	if 4*n > regionBytes/2 {
		return NewSlab(n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left.size() < roundUp(4*n) {
		r.left.release(0)
		r.left = mapAligned(regionBytes)
	}
	s := &Slab{mem: r.left.cut(roundUp(4 * n))}
	s.Data = s.mem.floats(n)
	return s
}

// close gives back what no slab has.
func (r *region) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left.release(0)
}

// roundUp is n bytes in whole pages.
func roundUp(n int) int { return (n + page - 1) / page * page }
