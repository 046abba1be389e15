package kernel

import "math"

type geluArgs struct {
	y, x, dy []float32
	tanh     bool
	chunks   int
}

var geluLoop = newLoop(func(a *geluArgs, worker, chunk int) {
	lo, hi := span(len(a.y), a.chunks, chunk)
	if a.tanh {
		current.vecOps.geluTanh(a.y[lo:hi], a.x[lo:hi])
	} else {
		current.vecOps.geluErf(a.y[lo:hi], a.x[lo:hi])
	}
})

// GELUForward computes y = x·Φ(x) over len(y) elements, Φ the normal
// distribution function: exactly, (1 + erf(x/√2))/2, or with tanh by the
// approximation (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2 that GPT-2 uses. y may be
// x where no backward pass follows.
// Source: Hendrycks, Gimpel, https://arxiv.org/abs/1606.08415.
func GELUForward(p *Pool, y, x []float32, tanh bool) {
	need(x, len(y))
	c := p.pieces(len(y), elementGrain/4)
	geluLoop.run(p, c, geluArgs{y: y, x: x[:len(y)], tanh: tanh, chunks: c})
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
	lo, hi := span(len(a.y), a.chunks, chunk)
	if a.tanh {
		current.vecOps.geluTanhBack(a.y[lo:hi], a.dy[lo:hi], a.x[lo:hi])
	} else {
		current.vecOps.geluErfBack(a.y[lo:hi], a.dy[lo:hi], a.x[lo:hi])
	}
})

// GELUBackward overwrites dx with dy·(Φ(x) + x·Φ'(x)), over len(dx) elements.
// dx may be dy. tanh must be the forward pass's.
func GELUBackward(p *Pool, dx, dy, x []float32, tanh bool) {
	needs(len(dx), dy, x)
	c := p.pieces(len(dx), elementGrain/4)
	geluBackLoop.run(p, c, geluArgs{y: dx, dy: dy, x: x, tanh: tanh, chunks: c})
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
