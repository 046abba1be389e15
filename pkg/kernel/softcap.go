package kernel

import "math"

type softCapArgs struct {
	y, x, dy []float32
	c        float32
	chunks   int
}

var softCapLoop = newLoop(func(a *softCapArgs, worker, chunk int) {
	lo, hi := span(len(a.y), a.chunks, chunk)
	current.vecOps.softCap(a.y[lo:hi], a.x[lo:hi], 1/a.c, a.c)
})

// SoftCapForward computes y = c·tanh(x/c) over len(y) elements, c > 0; y may be x.
// Source: Gemma team, https://arxiv.org/abs/2408.00118, section 2.
func SoftCapForward(p *Pool, y, x []float32, c float32) {
	checkCap(c)
	need(x, len(y))
	n := p.pieces(len(y), elementGrain/4)
	softCapLoop.run(p, n, softCapArgs{y: y, x: x, c: c, chunks: n})
}

var softCapBackLoop = newLoop(func(a *softCapArgs, worker, chunk int) {
	lo, hi := span(len(a.y), a.chunks, chunk)
	current.vecOps.softCapBack(a.y[lo:hi], a.dy[lo:hi], a.x[lo:hi], 0, 1/a.c)
})

// SoftCapBackward overwrites dx with dy·(1 - (y/c)²), y the forward pass's result.
// dx may be dy.
func SoftCapBackward(p *Pool, dx, dy, y []float32, c float32) {
	checkCap(c)
	needs(len(dx), dy, y)
	n := p.pieces(len(dx), elementGrain)
	softCapBackLoop.run(p, n, softCapArgs{y: dx, dy: dy, x: y, c: c, chunks: n})
}

func checkCap(c float32) {
	if !(c > 0) {
		panic(badShape)
	}
}

func softCapRow(y, x []float32, slope, c float32) {
	for i, v := range x[:len(y)] {
		y[i] = c * float32(math.Tanh(float64(slope*v)))
	}
}

func softCapBackRow(dx, dy, y []float32, delta, inv float32) {
	for i, v := range y[:len(dx)] {
		t := v * inv
		dx[i] = (dy[i] - delta) * (1 - t*t)
	}
}
