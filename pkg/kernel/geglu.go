package kernel

import "math"

type gegluArgs struct {
	swigluArgs
	tanh bool
}

var gegluLoop = newLoop(func(a *gegluArgs, worker, chunk int) {
	run := current.vecOps.gegluErf
	if a.tanh {
		run = current.vecOps.gegluTanh
	}
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		gu := a.gu[n*2*a.f:][:2*a.f]
		run(a.h[n*a.f:][:a.f], gu[:a.f], gu[a.f:])
	}
})

// GeGLUForward computes h = gelu(gate)·up, with the exact GELU or, with tanh, its
// approximation (see GELUForward). The rows of gu [N, 2F] are gate (F values) then
// up (F values); h is [N, F].
// Source: Shazeer, https://arxiv.org/abs/2002.05202.
func GeGLUForward(p *Pool, h, gu []float32, N, F int, tanh bool) {
	need(h, N*F)
	need(gu, N*2*F)
	c := p.pieces(N, elementGrain/4/max(1, F))
	gegluLoop.run(p, c, gegluArgs{swigluArgs{h: h, gu: gu, n: N, f: F, chunks: c}, tanh})
}

var gegluBackLoop = newLoop(func(a *gegluArgs, worker, chunk int) {
	run := current.vecOps.gegluErfBack
	if a.tanh {
		run = current.vecOps.gegluTanhBack
	}
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		d, gu := a.h[n*2*a.f:][:2*a.f], a.gu[n*2*a.f:][:2*a.f]
		run(d[:a.f], d[a.f:], a.dh[n*a.f:][:a.f], gu[:a.f], gu[a.f:])
	}
})

// GeGLUBackward overwrites dgu [N, 2F]: dgate = dh·up·gelu'(gate) and
// dup = dh·gelu(gate). dgu may be gu. tanh must be the forward pass's.
func GeGLUBackward(p *Pool, dgu, dh, gu []float32, N, F int, tanh bool) {
	needs(N*2*F, dgu, gu)
	need(dh, N*F)
	c := p.pieces(N, elementGrain/4/max(1, F))
	gegluBackLoop.run(p, c, gegluArgs{swigluArgs{h: dgu, dh: dh, gu: gu, n: N, f: F, chunks: c}, tanh})
}

func gegluTanhRow(h, gate, up []float32) {
	for i, g := range gate {
		y, _ := geluTanhOf(float64(g))
		h[i] = float32(y) * up[i]
	}
}

func gegluTanhBackRow(dgate, dup, dh, gate, up []float32) {
	for i, g := range gate {
		y, slope := geluTanhOf(float64(g))
		dgate[i], dup[i] = dh[i]*up[i]*float32(slope), dh[i]*float32(y)
	}
}

func gegluErfRow(h, gate, up []float32) {
	for i, g := range gate {
		y, _ := geluErfOf(float64(g))
		h[i] = float32(y) * up[i]
	}
}

func gegluErfBackRow(dgate, dup, dh, gate, up []float32) {
	for i, g := range gate {
		y, slope := geluErfOf(float64(g))
		dgate[i], dup[i] = dh[i]*up[i]*float32(slope), dh[i]*float32(y)
	}
}

// geluTanhOf is the approximated GELU and its derivative.
func geluTanhOf(x float64) (y, slope float64) {
	t := math.Tanh(geluA * x * (1 + geluB*x*x))
	du := geluA * (1 + 3*geluB*x*x)
	return 0.5 * x * (1 + t), 0.5*(1+t) + 0.5*x*(1-t*t)*du
}

// geluErfOf is GELU and its derivative.
func geluErfOf(x float64) (y, slope float64) {
	phi := 0.5 * math.Erfc(-x/math.Sqrt2)
	return x * phi, phi + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
}
