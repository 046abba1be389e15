//go:build linux && mpi

package mpi

import (
	"math"
	"unsafe"

	"github.com/ecospa/ecospa/internal/dist"
)

// SumBF16 is an all-reduce around a ring: in size-1 steps each part collects its
// sum on one rank, in size-1 more it goes round. Parts travel as bfloat16 and are
// added in float32, in the order of the ring.
func (w *World) SumBF16(x []float32) error {
	if w.size == 1 {
		return nil
	}
	w.sent += 2 * int64(len(x))
	bounds := dist.Bounds(len(x), w.size, 1)
	part := func(r int) []float32 {
		r = ((r % w.size) + w.size) % w.size
		return x[bounds[r]:bounds[r+1]]
	}
	widest := 1
	for r := range w.size {
		widest = max(widest, len(part(r)))
	}
	if len(w.half) < 2*widest {
		w.half = make([]uint16, 2*widest)
	}
	out, in := w.half[:widest], w.half[widest:2*widest]
	for s := range w.size - 1 {
		give, take := part(w.rank-s), part(w.rank-s-1)
		round(out, give)
		if err := w.pass(out[:len(give)], in[:len(take)]); err != nil {
			return err
		}
		for i, h := range in[:len(take)] {
			take[i] += float(h)
		}
	}
	// The finished part is rounded where it stands, so that all ranks hold the same.
	own := part(w.rank + 1)
	round(out, own)
	for i, h := range out[:len(own)] {
		own[i] = float(h)
	}
	for s := range w.size - 1 {
		give, take := part(w.rank+1-s), part(w.rank-s)
		round(out, give)
		if err := w.pass(out[:len(give)], in[:len(take)]); err != nil {
			return err
		}
		for i, h := range in[:len(take)] {
			take[i] = float(h)
		}
	}
	return nil
}

// pass sends to the next rank and receives from the one before.
func (w *World) pass(out, in []uint16) error {
	next, last := int32((w.rank+1)%w.size), int32((w.rank+w.size-1)%w.size)
	var none uint16
	at := func(b []uint16) unsafe.Pointer {
		if len(b) == 0 {
			return unsafe.Pointer(&none)
		}
		return unsafe.Pointer(&b[0])
	}
	const tag = 1
	return failed("MPI_Sendrecv", w.call.sendrecv(at(out), int32(2*len(out)), w.abi.bt, next, tag, at(in), int32(2*len(in)), w.abi.bt, last, tag, w.abi.world, w.ignore()))
}

// ignore is MPI_STATUS_IGNORE.
func (w *World) ignore() uintptr {
	if w.abi.name == "MPICH" {
		return 1
	}
	return 0
}

// round is x in bfloat16, to nearest, ties to even.
func round(out []uint16, x []float32) {
	for i, v := range x {
		b := math.Float32bits(v)
		if b&0x7fffffff > 0x7f800000 {
			out[i] = uint16(b>>16) | 0x40
			continue
		}
		out[i] = uint16((b + 0x7fff + b>>16&1) >> 16)
	}
}

func float(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
