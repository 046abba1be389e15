package kernel

import "math"

type layerNormArgs struct {
	y, mean, rstd, x, gain, bias, dy []float32
	n, e                             int
	eps                              float32
	chunks                           int
	p                                *Pool
	out                              Rows // of the forward pass, in place of y
}

var layerNormLoop = newLoop(func(a *layerNormArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	buf := a.p.buffer(worker, a.e)
	for n := lo; n < hi; n++ {
		y := a.out.target(buf, n*a.e, a.e)
		a.mean[n], a.rstd[n] = layerNormRow(y, a.x[n*a.e:][:a.e], a.gain[:a.e], a.bias, a.eps)
		a.out.store(y, n*a.e)
	}
})

// LayerNormForward computes y = (x - mean)·rstd·gain + bias over each row, with
// mean = sum(x)/E and rstd = 1/sqrt(sum((x-mean)²)/E + eps), both of which it
// keeps for the backward pass. y and x are [N, E], mean and rstd [N], gain and
// bias [E]; bias may be nil, which means zeros; y may be x where no backward
// pass follows. Source: Ba, Kiros, Hinton, https://arxiv.org/abs/1607.06450.
func LayerNormForward(p *Pool, y Rows, mean, rstd, x, gain, bias []float32, N, E int, eps float32) {
	y.need(N * E)
	need(x, N*E)
	needs(N, mean, rstd)
	need(gain, E)
	if bias != nil {
		need(bias, E)
		bias = bias[:E]
	}
	c := p.pieces(N, elementGrain/max(1, E))
	layerNormLoop.run(p, c, layerNormArgs{p: p, out: y, mean: mean, rstd: rstd, x: x, gain: gain, bias: bias, n: N, e: E, eps: eps, chunks: c})
}

func layerNormRow(y, x, gain, bias []float32, eps float32) (mean, rstd float32) {
	v := current.vecOps
	mean = v.sum(x) / float32(len(x))
	rstd = rootOf(v.spread(x, mean), len(x), eps)
	v.normalize(y, x, gain, mean, rstd)
	if bias != nil {
		v.add(y, y, bias)
	}
	return mean, rstd
}

// rootOf is 1/sqrt(squares/n + eps).
func rootOf(squares float32, n int, eps float32) float32 {
	return float32(1 / math.Sqrt(float64(squares)/float64(n)+float64(eps)))
}

func normalizeRow(y, x, gain []float32, mean, rstd float32) {
	for i, v := range x {
		y[i] = (v - mean) * rstd * gain[i]
	}
}

var layerNormBackLoop = newLoop(func(a *layerNormArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		layerNormBackRow(a.y[n*a.e:][:a.e], a.dy[n*a.e:][:a.e], a.x[n*a.e:][:a.e], a.gain[:a.e], a.mean[n], a.rstd[n])
	}
})

// LayerNormBackward overwrites dx with the gradient of x: with h = (x-mean)·rstd
// and g = dy·gain, dx = rstd·(g - avg(g) - h·avg(g·h)). dx may be dy.
// dx, dy and x are [N, E], gain is [E], mean and rstd are the forward pass's.
func LayerNormBackward(p *Pool, dx, dy, x, gain, mean, rstd []float32, N, E int) {
	needs(N*E, dx, dy, x)
	needs(N, mean, rstd)
	need(gain, E)
	c := p.pieces(N, elementGrain/max(1, E))
	layerNormBackLoop.run(p, c, layerNormArgs{y: dx, dy: dy, x: x, gain: gain, mean: mean, rstd: rstd, n: N, e: E, chunks: c})
}

func layerNormBackRow(dx, dy, x, gain []float32, mean, rstd float32) {
	n := float32(len(x))
	sg, sgh := current.vecOps.normSums(dy, x, gain, mean, rstd)
	current.vecOps.normBack(dx, dy, x, gain, mean, rstd, sg/n, sgh/n)
}

func normSumsRow(dy, x, gain []float32, mean, rstd float32) (sg, sgh float32) {
	var s, sh float64
	for i, v := range dy {
		g := v * gain[i]
		s += float64(g)
		sh += float64(g * ((x[i] - mean) * rstd))
	}
	return float32(s), float32(sh)
}

func normBackRow(dx, dy, x, gain []float32, mean, rstd, ag, agh float32) {
	for i, v := range dy {
		dx[i] = rstd * (v*gain[i] - ag - (x[i]-mean)*rstd*agh)
	}
}

// Each chunk sums a block of rows on its own, dgain and then dbias.
var layerNormGradLoop = newLoop(func(a *layerNormArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	dgain := a.y[chunk*2*a.e:][:a.e]
	dbias := a.y[chunk*2*a.e+a.e:][:a.e]
	clear(dgain)
	clear(dbias)
	for n := lo; n < hi; n++ {
		dy := a.dy[n*a.e:][:a.e]
		current.vecOps.normGrad(dgain, dy, a.x[n*a.e:][:a.e], a.mean[n], a.rstd[n])
		if a.bias != nil {
			current.vecOps.add(dbias, dbias, dy)
		}
	}
})

func normGradRow(dgain, dy, x []float32, mean, rstd float32) {
	for i, v := range dy {
		dgain[i] += v * ((x[i] - mean) * rstd)
	}
}

// LayerNormGrad accumulates the parameters' gradients: dgain += sum over rows of
// dy·(x-mean)·rstd and dbias += sum of dy. dgain and dbias are [E]; dbias may be
// nil.
func LayerNormGrad(p *Pool, dgain, dbias, dy, x, mean, rstd []float32, N, E int) {
	need(dgain, E)
	if dbias != nil {
		need(dbias, E)
	}
	needs(N*E, dy, x)
	needs(N, mean, rstd)
	c := rowBlocks(N)
	parts := p.Scratch(0, c*2*E)
	layerNormGradLoop.run(p, c, layerNormArgs{y: parts, bias: dbias, dy: dy, x: x, mean: mean, rstd: rstd, n: N, e: E, chunks: c})
	for i := range c {
		current.vecOps.add(dgain[:E], dgain, parts[i*2*E:])
		if dbias != nil {
			current.vecOps.add(dbias[:E], dbias, parts[i*2*E+E:])
		}
	}
}

// rowBlocks is how many blocks of rows a sum over N rows is made of: the number
// depends on N alone, and so do the bits of the sum.
func rowBlocks(N int) int { return max(1, min(64, N/32)) }
