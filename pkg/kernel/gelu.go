package kernel

import "math"

type geluArgs struct {
	p      *Pool
	y, x   Rows // y is dx in the backward pass
	dy     []float32
	n      int
	chunks int
	run    func(y, x []float32)
	back   func(dx, dy, x []float32)
}

// each calls f with the pieces of a chunk.
func (a *geluArgs) each(worker, chunk int, f func(at int, y, x []float32)) {
	lo, hi := span(a.n, a.chunks, chunk)
	wide, out := cut(a.p.buffer(worker, 2*widePiece), widePiece)
	for ; lo < hi; lo += widePiece {
		n := min(widePiece, hi-lo)
		y := a.y.target(out, lo, n)
		f(lo, y, a.x.read(wide, lo, n))
		a.y.store(y, lo)
	}
}

var geluLoop = newLoop(func(a *geluArgs, worker, chunk int) {
	a.each(worker, chunk, func(_ int, y, x []float32) { a.run(y, x) })
})

// GELUForward computes y = x·Φ(x) over n elements, Φ the normal
// distribution function: exactly, (1 + erf(x/√2))/2, or with tanh by the
// approximation (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2 that GPT-2 uses. y may be
// x where no backward pass follows.
// Source: Hendrycks, Gimpel, https://arxiv.org/abs/1606.08415.
func GELUForward(p *Pool, y, x Rows, n int, tanh bool) {
	y.need(n)
	x.need(n)
	run := current.vecOps.geluErf
	if tanh {
		run = current.vecOps.geluTanh
	}
	c := p.pieces(n, elementGrain/4)
	geluLoop.run(p, c, geluArgs{p: p, y: y, x: x, n: n, chunks: c, run: run})
}

const (
	geluA = 0.7978845608028654 // sqrt(2/π)
	geluB = 0.044715
)

func geluTanhRow(y, x []float32) {
	for i, v := range x {
		u := geluA * float64(v) * (1 + geluB*float64(v)*float64(v))
		y[i] = float32(0.5 * float64(v) * (1 + math.Tanh(u)))
	}
}

func geluErfRow(y, x []float32) {
	for i, v := range x {
		y[i] = float32(0.5 * float64(v) * math.Erfc(-float64(v)/math.Sqrt2))
	}
}

var geluBackLoop = newLoop(func(a *geluArgs, worker, chunk int) {
	a.each(worker, chunk, func(at int, dx, x []float32) { a.back(dx, a.dy[at:][:len(x)], x) })
})

// GELUBackward overwrites dx with dy·(Φ(x) + x·Φ'(x)), over len(dy) elements.
// dx may be dy, or x. tanh must be the forward pass's.
func GELUBackward(p *Pool, dx Rows, dy []float32, x Rows, tanh bool) {
	n := len(dy)
	dx.need(n)
	x.need(n)
	back := current.vecOps.geluErfBack
	if tanh {
		back = current.vecOps.geluTanhBack
	}
	c := p.pieces(n, elementGrain/4)
	geluBackLoop.run(p, c, geluArgs{p: p, y: dx, x: x, dy: dy, n: n, chunks: c, back: back})
}

func geluTanhBackRow(dx, dy, x []float32) {
	for i, v := range x {
		_, slope := geluTanhOf(float64(v))
		dx[i] = dy[i] * float32(slope)
	}
}

func geluErfBackRow(dx, dy, x []float32) {
	for i, v := range x {
		_, slope := geluErfOf(float64(v))
		dx[i] = dy[i] * float32(slope)
	}
}
