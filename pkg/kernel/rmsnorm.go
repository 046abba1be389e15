package kernel

// RMSNorm is the settings of a norm by the root of the mean square.
type RMSNorm struct {
	Eps     float32
	PlusOne bool // the gain is 1 + gain, as Gemma stores it
}

// gains is gain, or 1 + gain in worker 0's scratch.
func (o RMSNorm) gains(p *Pool, gain []float32) []float32 {
	if !o.PlusOne {
		return gain
	}
	sum := p.Scratch(0, len(gain))
	current.vecOps.affine(sum, gain, 1, 1)
	return sum
}

type rmsNormArgs struct {
	y, rstd, x, gain, dy []float32
	n, e                 int
	eps                  float32
	chunks               int
	p                    *Pool
	out                  Rows // of the forward pass, in place of y
}

var rmsNormLoop = newLoop(func(a *rmsNormArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	buf := a.p.buffer(worker, a.e)
	for n := lo; n < hi; n++ {
		y := a.out.target(buf, n*a.e, a.e)
		a.rstd[n] = rmsNormRow(y, a.x[n*a.e:][:a.e], a.gain[:a.e], a.eps)
		a.out.store(y, n*a.e)
	}
})

// RMSNormForward computes y = x·rstd·gain over each row, rstd = 1/sqrt(sum(x²)/E
// + Eps), which it keeps for the backward pass. y and x are [N, E], rstd [N],
// gain [E]. Source: Zhang, Sennrich, https://arxiv.org/abs/1910.07467.
func RMSNormForward(p *Pool, y Rows, rstd, x, gain []float32, N, E int, o RMSNorm) {
	y.need(N * E)
	need(x, N*E)
	need(rstd, N)
	need(gain, E)
	c := p.pieces(N, elementGrain/max(1, E))
	rmsNormLoop.run(p, c, rmsNormArgs{p: p, out: y, rstd: rstd, x: x, gain: o.gains(p, gain[:E]), n: N, e: E, eps: o.Eps, chunks: c})
}

func rmsNormRow(y, x, gain []float32, eps float32) (rstd float32) {
	rstd = rootOf(current.vecOps.dot(x, x), len(x), eps)
	current.vecOps.normalize(y, x, gain, 0, rstd)
	return rstd
}

var rmsNormBackLoop = newLoop(func(a *rmsNormArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		rmsNormBackRow(a.y[n*a.e:][:a.e], a.dy[n*a.e:][:a.e], a.x[n*a.e:][:a.e], a.gain[:a.e], a.rstd[n])
	}
})

// RMSNormBackward overwrites dx with the gradient of x: with h = x·rstd and
// g = dy·gain, dx = rstd·(g - h·avg(g·h)). dx may be dy. dx, dy and x are [N, E],
// gain is [E], rstd and o are the forward pass's.
func RMSNormBackward(p *Pool, dx, dy, x, gain, rstd []float32, N, E int, o RMSNorm) {
	needs(N*E, dx, dy, x)
	need(rstd, N)
	need(gain, E)
	c := p.pieces(N, elementGrain/max(1, E))
	rmsNormBackLoop.run(p, c, rmsNormArgs{y: dx, dy: dy, x: x, gain: o.gains(p, gain[:E]), rstd: rstd, n: N, e: E, chunks: c})
}

func rmsNormBackRow(dx, dy, x, gain []float32, rstd float32) {
	_, sgh := current.vecOps.normSums(dy, x, gain, 0, rstd)
	current.vecOps.normBack(dx, dy, x, gain, 0, rstd, 0, sgh/float32(len(x)))
}

// Each chunk sums a block of rows on its own.
var rmsNormGradLoop = newLoop(func(a *rmsNormArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	dgain := a.y[chunk*a.e:][:a.e]
	clear(dgain)
	for n := lo; n < hi; n++ {
		current.vecOps.normGrad(dgain, a.dy[n*a.e:][:a.e], a.x[n*a.e:][:a.e], 0, a.rstd[n])
	}
})

// RMSNormGrad accumulates the gain's gradient: dgain += sum over rows of
// dy·x·rstd. dgain is [E], dy and x are [N, E], rstd is the forward pass's.
func RMSNormGrad(p *Pool, dgain, dy, x, rstd []float32, N, E int) {
	need(dgain, E)
	needs(N*E, dy, x)
	need(rstd, N)
	c := rowBlocks(N)
	parts := p.Scratch(0, c*E)
	rmsNormGradLoop.run(p, c, rmsNormArgs{y: parts, dy: dy, x: x, rstd: rstd, n: N, e: E, chunks: c})
	for i := range c {
		current.vecOps.add(dgain[:E], dgain, parts[i*E:])
	}
}
