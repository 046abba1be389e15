package dist

import (
	"crypto/sha256"
	"fmt"
	"unsafe"
)

// Group is the ranks of one run, seen from one of them. It is used by one goroutine
// at a time.
type Group interface {
	Rank() int // 0 to Size-1
	Size() int
	// Sum replaces x by its sum over the ranks. All give equally many elements.
	Sum(x []float32) error
	// SumFloat64 is Sum in double precision.
	SumFloat64(x []float64) error
	// SumBF16 is Sum with half the bytes on the wire: elements are rounded to
	// bfloat16 on the way and the sums of each step are rounded again.
	SumBF16(x []float32) error
	// Scatter replaces the rank's own part of x by its sum over the ranks; what is
	// left in the other parts is undefined. Part r is x[bounds[r]:bounds[r+1]].
	Scatter(x []float32, bounds []int) error
	// Gather fills in the parts of the other ranks, of which each has its own.
	Gather(x []float32, bounds []int) error
	// Broadcast replaces b by that of rank 0. All give equally many bytes.
	Broadcast(b []byte) error
	// Sent is the bytes of payload that this rank has given to Sum, SumBF16 (two an
	// element), Scatter, Gather and Broadcast; what the transport makes of it is its own.
	Sent() int64
}

// Message gives the bytes of rank 0 to all, whatever their number there.
func Message(g Group, b []byte) ([]byte, error) {
	var n [8]byte
	for i := range n {
		n[i] = byte(len(b) >> (8 * i))
	}
	if err := g.Broadcast(n[:]); err != nil {
		return nil, err
	}
	size := 0
	for i := range n {
		size |= int(n[i]) << (8 * i)
	}
	if size < 0 || size > 1<<32 {
		return nil, fmt.Errorf("dist: a message of %d bytes", size)
	}
	if g.Rank() != 0 {
		b = make([]byte, size)
	}
	return b, g.Broadcast(b)
}

// Agree fails on every rank unless all give the same digest; what names the thing
// that should be the same. The failure names how many ranks differ from rank 0.
func Agree(g Group, what string, digest [32]byte) error {
	zero := digest
	if err := g.Broadcast(zero[:]); err != nil {
		return err
	}
	differ := []float64{0}
	if zero != digest {
		differ[0] = 1
	}
	if err := g.SumFloat64(differ); err != nil {
		return err
	}
	if differ[0] > 0 {
		return fmt.Errorf("dist: %g of %d ranks differ from rank 0 in %s: rank %d has digest %x, rank 0 %x", differ[0], g.Size(), what, g.Rank(), digest[:6], zero[:6])
	}
	return nil
}

// AgreeOn is Agree about the bits of x.
func AgreeOn(g Group, what string, x []float32) error {
	if g.Size() == 1 {
		return nil
	}
	return Agree(g, what, sha256.Sum256(Bytes(x)))
}

// Bytes is the memory of x, for Broadcast.
func Bytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// Share is the part of n items that falls to rank r of size: lo to hi. Parts differ
// by at most one item.
func Share(n, r, size int) (lo, hi int) { return n * r / size, n * (r + 1) / size }

// Bounds are the ends of the parts of n elements, multiples of align but for the
// last: part r is bounds[r] to bounds[r+1].
func Bounds(n, size, align int) []int {
	b := make([]int, size+1)
	for r := 1; r < size; r++ {
		b[r] = min(n, n*r/size/align*align)
	}
	b[size] = n
	return b
}
