package kernel

import "math"

type swigluArgs struct {
	h, gu, dh []float32
	n, f      int
	chunks    int
}

var swigluLoop = newLoop(func(a *swigluArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		gu := a.gu[n*2*a.f:][:2*a.f]
		current.vecOps.swiglu(a.h[n*a.f:][:a.f], gu[:a.f], gu[a.f:])
	}
})

// SwiGLUForward computes h = silu(gate)·up, silu(x) = x/(1+exp(-x)). The rows of
// gu [N, 2F] are gate (F values) then up (F values); h is [N, F].
// Source: Shazeer, https://arxiv.org/abs/2002.05202.
func SwiGLUForward(p *Pool, h, gu []float32, N, F int) {
	need(h, N*F)
	need(gu, N*2*F)
	c := p.pieces(N, elementGrain/4/max(1, F))
	swigluLoop.run(p, c, swigluArgs{h: h, gu: gu, n: N, f: F, chunks: c})
}

func swigluRow(h, gate, up []float32) {
	for i, g := range gate {
		h[i] = g * sigmoid(g) * up[i]
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

var swigluBackLoop = newLoop(func(a *swigluArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		d, gu := a.h[n*2*a.f:][:2*a.f], a.gu[n*2*a.f:][:2*a.f]
		current.vecOps.swigluBack(d[:a.f], d[a.f:], a.dh[n*a.f:][:a.f], gu[:a.f], gu[a.f:])
	}
})

// SwiGLUBackward overwrites dgu [N, 2F]: with s = 1/(1+exp(-gate)),
// dgate = dh·up·s·(1 + gate·(1-s)) and dup = dh·gate·s. dgu may be gu.
func SwiGLUBackward(p *Pool, dgu, dh, gu []float32, N, F int) {
	needs(N*2*F, dgu, gu)
	need(dh, N*F)
	c := p.pieces(N, elementGrain/4/max(1, F))
	swigluBackLoop.run(p, c, swigluArgs{h: dgu, dh: dh, gu: gu, n: N, f: F, chunks: c})
}

func swigluBackRow(dgate, dup, dh, gate, up []float32) {
	for i, g := range gate {
		s := sigmoid(g)
		d, u := dh[i], up[i]
		dgate[i] = d * u * s * (1 + g*(1-s))
		dup[i] = d * g * s
	}
}
