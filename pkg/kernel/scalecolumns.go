package kernel

type scaleColumnsArgs struct {
	y, x, gain []float32
	n, e       int
	chunks     int
}

var scaleColumnsLoop = newLoop(func(a *scaleColumnsArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		y := a.y[n*a.e:][:a.e]
		for i, v := range a.x[n*a.e:][:a.e] {
			y[i] = v * a.gain[i]
		}
	}
})

// ScaleColumns computes y = x·gain in each row. y and x are [N, E], gain is [E]; y may be
// x. With dy as x it is the gradient of x. Source: layer scale, Touvron et al.,
// https://arxiv.org/abs/2103.17239.
func ScaleColumns(p *Pool, y, x, gain []float32, N, E int) {
	needs(N*E, y, x)
	need(gain, E)
	c := p.pieces(N, elementGrain/max(1, E))
	scaleColumnsLoop.run(p, c, scaleColumnsArgs{y, x, gain[:E], N, E, c})
}

// ScaleColumnsGrad accumulates dgain += sum over rows of dy·x. dgain is [E], dy and x are
// [N, E].
func ScaleColumnsGrad(p *Pool, dgain, dy, x []float32, N, E int) {
	need(dgain, E)
	needs(N*E, dy, x)
	c := p.pieces(E, elementGrain/max(1, N))
	scaleColumnsGradLoop.run(p, c, scaleColumnsArgs{y: dgain, x: x, gain: dy, n: N, e: E, chunks: c})
}

// Each chunk is some columns of all rows.
var scaleColumnsGradLoop = newLoop(func(a *scaleColumnsArgs, worker, chunk int) {
	lo, hi := span(a.e, a.chunks, chunk)
	for n := range a.n {
		current.vecOps.mulAdd(a.y[lo:hi], a.gain[n*a.e+lo:n*a.e+hi], a.x[n*a.e+lo:n*a.e+hi])
	}
})
