package kernel

type biasArgs struct {
	d, dy  []float32
	n, m   int
	chunks int
}

// Each chunk sums a block of rows on its own.
var biasLoop = newLoop(func(a *biasArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	d := a.d[chunk*a.m:][:a.m]
	clear(d)
	for n := lo; n < hi; n++ {
		current.vecOps.add(d, d, a.dy[n*a.m:])
	}
})

// BiasGrad accumulates the column sums of dy [N, M] into dbias [M].
func BiasGrad(p *Pool, dbias, dy []float32, N, M int) {
	need(dbias, M)
	need(dy, N*M)
	sumRows(p, dbias, dy, N, M, p.Scratch(0, rowBlocks(N)*M))
}

// sumRows is BiasGrad with rowBlocks(N)·M values of scratch.
func sumRows(p *Pool, dbias, dy []float32, N, M int, parts []float32) {
	c := rowBlocks(N)
	biasLoop.run(p, c, biasArgs{parts, dy, N, M, c})
	for i := range c {
		current.vecOps.add(dbias[:M], dbias, parts[i*M:])
	}
}
