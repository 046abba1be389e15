package kernel

import "math"

type bf16Args struct {
	bf16   []uint16
	full   []float32
	seed   uint32
	chunks int
}

var (
	widenLoop = newLoop(func(a *bf16Args, worker, chunk int) {
		lo, hi := span(len(a.full), a.chunks, chunk)
		FromBF16(a.full[lo:hi], a.bf16[lo:hi])
	})
	randomLoop = newLoop(func(a *bf16Args, worker, chunk int) {
		lo, hi := span(len(a.full), a.chunks, chunk)
		randomRow(a.bf16[lo:hi], a.full[lo:hi], a.seed+uint32(lo))
	})
)

// WidenBF16 is FromBF16 by all workers.
func WidenBF16(p *Pool, dst []float32, src []uint16) {
	if len(src) < len(dst) {
		panic(badLength)
	}
	n := p.pieces(len(dst), elementGrain)
	widenLoop.run(p, n, bf16Args{src, dst, 0, n})
}

// ToBF16Random rounds src to bfloat16 up or down at random, with the odds of the distance,
// so that the mean of what it gives is src: rounding to the nearest would lose every change that is
// smaller than half a unit in the last place, which most steps of training are
// (https://arxiv.org/abs/2010.06192). Element i is rounded by what is drawn for seed + i;
// equal seeds give equal bits, on any number of workers.
func ToBF16Random(p *Pool, dst []uint16, src []float32, seed uint32) {
	if len(dst) < len(src) {
		panic(badLength)
	}
	n := p.pieces(len(src), elementGrain)
	randomLoop.run(p, n, bf16Args{dst, src, seed, n})
}

// randomRow is ToBF16Random of one piece.
func randomRow(dst []uint16, src []float32, seed uint32) {
	dst = dst[:len(src)]
	for i, v := range src {
		b := math.Float32bits(v)
		if b&0x7f800000 != 0x7f800000 { // what is not finite has nothing to round, and could become finite or NaN
			b += draw(seed+uint32(i)) & 0xffff
		} else if b&0x7fffff != 0 {
			b |= 0x400000
		}
		dst[i] = uint16(b >> 16)
	}
}
