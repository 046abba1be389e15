package kernel

import "unsafe"

// lane is what one worker keeps between operations.
type lane struct {
	user []float32 // handed out by Scratch
	pack []float32 // packed panels of its own
	wide []float32 // a panel of bfloat16 that was widened
	sums []float32 // a strip of C transposed, of a skinny product

	panels []float32 // rows of A packed for a skinny product
	packed int       // and of which product they are

	claimed int64 // one more than the chunk that it does next, where it has taken that already

	tile  tile
	block block
	int8  int8Tile

	logits [logitBlock]float32 // some of a row of logits
	losses []rowLoss           // rows of a loss in pieces

	_ [64]byte // keeps neighbours off one cache line
}

// Scratch returns n values that only this worker uses until its chunk ends; it
// is 64-byte aligned and holds whatever the last user left. The buffer grows to
// the largest n asked for and is kept, so the steady state allocates nothing.
func (p *Pool) Scratch(worker, n int) []float32 {
	return grow(&p.lanes[worker].user, n)
}

// hugePage is the size, in values, from which buffers are made of huge pages
// where the system has them (see mapHuge).
const hugePage = 2 << 20 / 4

// grow returns buf's first n values, replacing it by a larger aligned buffer
// when it is too short.
func grow(buf *[]float32, n int) []float32 {
	if len(*buf) < n {
		release(buf)
		size := n + n/4
		if size >= hugePage {
			*buf = mapHuge((size + hugePage - 1) / hugePage * hugePage)
		} else {
			*buf = aligned(size)
		}
	}
	return (*buf)[:n]
}

// asBF16 is the memory of x as numbers of two bytes.
func asBF16(x []float32) []uint16 {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&x[0])), 2*len(x))
}

// inTwos is the memory of x by two numbers at a time, for moving them only.
func inTwos(x []uint16) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/2)
}

// asBytes is the memory of x.
func asBytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// release frees what grow allocated.
func release(buf *[]float32) {
	if len(*buf) >= hugePage {
		unmapHuge(*buf)
	}
	*buf = nil
}

// aligned allocates n values that start on a cache line.
func aligned(n int) []float32 {
	const line = 16 // values
	s := make([]float32, n+line-1)
	off := 0
	if r := int(uintptr(unsafe.Pointer(&s[0])) / 4 % line); r != 0 {
		off = line - r
	}
	return s[off : off+n : off+n]
}
