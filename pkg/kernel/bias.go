package kernel

type biasArgs struct {
	d, dy  []float32
	n, m   int
	chunks int
}

var biasLoop = newLoop(func(a *biasArgs, worker, chunk int) {
	lo, hi := span(a.m, a.chunks, chunk)
	d := a.d[lo:hi]
	for n := range a.n {
		current.verbs.add(d, d, a.dy[n*a.m+lo:n*a.m+hi])
	}
})

// BiasGrad accumulates the column sums of dy [N, M] into dbias [M].
func BiasGrad(p *Pool, dbias, dy []float32, N, M int) {
	need(dbias, M)
	need(dy, N*M)
	c := p.columns(M)
	biasLoop.run(p, c, biasArgs{dbias, dy, N, M, c})
}
