package kernel

import "math"

// GeGLUForward computes h = gelu(gate)·up, with the exact GELU or, with tanh, its
// approximation (see GELUForward). The rows of gu [N, 2F] are gate (F values) then
// up (F values); h is [N, F].
// Source: Shazeer, https://arxiv.org/abs/2002.05202.
func GeGLUForward(p *Pool, h, gu Rows, N, F int, tanh bool) {
	run := current.vecOps.gegluErf
	if tanh {
		run = current.vecOps.gegluTanh
	}
	gatedArgs{p: p, h: h, gu: gu, n: N, f: F, run: run}.forward()
}

// GeGLUBackward overwrites dgu [N, 2F]: dgate = dh·up·gelu'(gate) and
// dup = dh·gelu(gate). dgu may be gu. tanh must be the forward pass's.
func GeGLUBackward(p *Pool, dgu Rows, dh []float32, gu Rows, N, F int, tanh bool) {
	back := current.vecOps.gegluErfBack
	if tanh {
		back = current.vecOps.gegluTanhBack
	}
	gatedArgs{p: p, h: dgu, dh: dh, gu: gu, n: N, f: F, back: back}.backward()
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
