package kernel

import "math"

type gatedArgs struct {
	p      *Pool
	h, gu  Rows // h is dgu in the backward pass
	dh     []float32
	n, f   int
	chunks int
	run    func(h, gate, up []float32)
	back   func(dgate, dup, dh, gate, up []float32)
}

// gatedLoop computes rows of h = f(gate, up).
var gatedLoop = newLoop(func(a *gatedArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	f := a.f
	wide, out := cut(a.p.buffer(worker, 3*f), 2*f)
	for n := lo; n < hi; n++ {
		gu, h := a.gu.read(wide, n*2*f, 2*f), a.h.target(out, n*f, f)
		a.run(h, gu[:f], gu[f:])
		a.h.store(h, n*f)
	}
})

// gatedBackLoop computes rows of the gradient of gate and up.
var gatedBackLoop = newLoop(func(a *gatedArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	f := a.f
	wide, out := cut(a.p.buffer(worker, 4*f), 2*f)
	for n := lo; n < hi; n++ {
		gu, d := a.gu.read(wide, n*2*f, 2*f), a.h.target(out, n*2*f, 2*f)
		a.back(d[:f], d[f:], a.dh[n*f:][:f], gu[:f], gu[f:])
		a.h.store(d, n*2*f)
	}
})

func (a gatedArgs) forward() {
	a.h.need(a.n * a.f)
	a.gu.need(a.n * 2 * a.f)
	a.chunks = a.p.pieces(a.n, elementGrain/4/max(1, a.f))
	gatedLoop.run(a.p, a.chunks, a)
}

func (a gatedArgs) backward() {
	a.h.need(a.n * 2 * a.f)
	a.gu.need(a.n * 2 * a.f)
	need(a.dh, a.n*a.f)
	a.chunks = a.p.pieces(a.n, elementGrain/4/max(1, a.f))
	gatedBackLoop.run(a.p, a.chunks, a)
}

// SwiGLUForward computes h = silu(gate)·up, silu(x) = x/(1+exp(-x)). The rows of
// gu [N, 2F] are gate (F values) then up (F values); h is [N, F].
// Source: Shazeer, https://arxiv.org/abs/2002.05202.
func SwiGLUForward(p *Pool, h, gu Rows, N, F int) {
	gatedArgs{p: p, h: h, gu: gu, n: N, f: F, run: current.vecOps.swiglu}.forward()
}

func swigluRow(h, gate, up []float32) {
	for i, g := range gate {
		h[i] = g * sigmoid(g) * up[i]
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

// SwiGLUBackward overwrites dgu [N, 2F]: with s = 1/(1+exp(-gate)),
// dgate = dh·up·s·(1 + gate·(1-s)) and dup = dh·gate·s. dgu may be gu.
func SwiGLUBackward(p *Pool, dgu Rows, dh []float32, gu Rows, N, F int) {
	gatedArgs{p: p, h: dgu, dh: dh, gu: gu, n: N, f: F, back: current.vecOps.swigluBack}.backward()
}

func swigluBackRow(dgate, dup, dh, gate, up []float32) {
	for i, g := range gate {
		s := sigmoid(g)
		d, u := dh[i], up[i]
		dgate[i] = d * u * s * (1 + g*(1-s))
		dup[i] = d * g * s
	}
}
