package kernel

import "unsafe"

// Rows are values as they are stored: as float32, or as bfloat16 in its place. What is
// read is widened, what is written rounded to the nearest, in pieces that stay in a
// cache: sums and functions are of float32 in either case.
type Rows struct {
	F32  []float32
	BF16 []uint16
	// Rounded makes results that are stored as float32 the nearest bfloat16 too, so that
	// the bits of all that reads them do not depend on how they are stored.
	Rounded bool
}

// need panics unless r holds at least n values.
func (r *Rows) need(n int) {
	if r.BF16 == nil {
		need(r.F32, n)
	} else if len(r.BF16) < n {
		panic(badLength)
	}
}

// read is n values from at on: as they lie, or widened to buf.
func (r *Rows) read(buf []float32, at, n int) []float32 {
	if r.BF16 == nil {
		return r.F32[at:][:n]
	}
	FromBF16(buf[:n], r.BF16[at:])
	return buf[:n]
}

// target is where n values that belong at `at` are to be computed, perhaps in buf; store
// takes them from there.
func (r *Rows) target(buf []float32, at, n int) []float32 {
	if r.BF16 == nil {
		return r.F32[at:][:n]
	}
	return buf[:n]
}

// store rounds and stores v, which target gave.
func (r *Rows) store(v []float32, at int) {
	switch {
	case r.BF16 != nil:
		ToBF16(r.BF16[at:], v)
	case r.Rounded:
		current.vecOps.round(v)
	}
}

// gather copies rows of cols values, stride apart from at on, to rows of dst, ds apart.
// It may write up to 15 values behind the last of these.
func (r *Rows) gather(dst []float32, ds, at, rows, cols, stride int) {
	if r.BF16 == nil {
		current.vecOps.gatherRoomy(dst, r.F32[at:], rows, cols, ds, stride)
		return
	}
	for i := range rows {
		FromBF16(dst[i*ds:][:cols], r.BF16[at+i*stride:])
	}
}

// fetch has rows of cols values, stride apart from at on, read to a cache meanwhile.
func (r *Rows) fetch(at, rows, cols, stride int) {
	switch fetch := current.fetchRows; {
	case fetch == nil || rows <= 0:
	case r.BF16 == nil:
		fetch(unsafe.Pointer(&r.F32[at]), rows, 4*cols, 4*stride)
	default:
		fetch(unsafe.Pointer(&r.BF16[at]), rows, 2*cols, 2*stride)
	}
}

// widePiece is how many values are widened or rounded at a time where there are no rows.
const widePiece = 2048

// buffer is n values to widen to and to round from, a worker's own.
func (p *Pool) buffer(worker, n int) []float32 { return grow(&p.lanes[worker].wide, n) }

type roundArgs struct {
	y      Rows
	x      []float32
	chunks int
}

var roundLoop = newLoop(func(a *roundArgs, worker, chunk int) {
	lo, hi := span(len(a.x), a.chunks, chunk)
	if a.y.BF16 != nil {
		ToBF16(a.y.BF16[lo:hi], a.x[lo:hi])
		return
	}
	copy(a.y.F32[lo:hi], a.x[lo:hi])
	current.vecOps.round(a.y.F32[lo:hi])
})

// RoundBF16 computes y = x, rounded to the nearest bfloat16 and ties to even, also where
// y is stored as float32. y.F32 may be x.
func RoundBF16(p *Pool, y Rows, x []float32) {
	y.need(len(x))
	c := p.pieces(len(x), elementGrain)
	roundLoop.run(p, c, roundArgs{y, x, c})
}
