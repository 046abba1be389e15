package kernel

type scaleArgs struct {
	y, x   []float32
	f      float32
	chunks int
}

var scaleLoop = newLoop(func(a *scaleArgs, worker, chunk int) {
	lo, hi := span(len(a.y), a.chunks, chunk)
	current.vecOps.affine(a.y[lo:hi], a.x[lo:hi], a.f, 0)
})

// Scale computes y = f·x over len(y) elements; y may be x. It is its own
// backward pass.
func Scale(p *Pool, y, x []float32, f float32) {
	needs(len(y), x)
	n := p.pieces(len(y), elementGrain)
	scaleLoop.run(p, n, scaleArgs{y, x, f, n})
}
