package param

import "unsafe"

// Slab is a run of float32 that lives outside the Go heap where the system
// allows, so that the collector never scans or moves it and so that a freed
// tail goes back to the operating system at once. Pages are touched (and
// become resident) on first use. A Slab is not safe for concurrent Truncate.
type Slab struct {
	Data []float32
	mem  mapping
}

// NewSlab makes a zeroed slab of n elements.
func NewSlab(n int) *Slab {
	s := &Slab{}
	s.mem = mapMemory(4 * n)
	s.Data = s.mem.floats(n)
	return s
}

// BF16 views the slab as twice as many words of 16 bits: bfloat16.
func (s *Slab) BF16() []uint16 {
	if len(s.Data) == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&s.Data[0])), 2*len(s.Data))
}

// Truncate shortens the slab to n elements and gives whole freed pages back
// to the operating system. It panics when n is larger than the slab.
func (s *Slab) Truncate(n int) {
	if n > len(s.Data) {
		panic("param: Truncate cannot lengthen a slab")
	}
	s.Data = s.Data[:n:n]
	s.mem.release(4 * n)
}

// forget clears elements lo to hi and gives their whole pages back.
func (s *Slab) forget(lo, hi int) { s.mem.forget(s.Data[lo:hi], 4*lo, 4*hi) }

// Close gives all of the memory back. The slab is empty after it.
func (s *Slab) Close() {
	s.Data = nil
	s.mem.release(0)
}
