package kernel

type addRowsArgs struct {
	y, x, rows []float32
	n, t, e    int
	chunks     int
}

var addRowsLoop = newLoop(func(a *addRowsArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		t := n % a.t
		current.vecOps.add(a.y[n*a.e:][:a.e], a.x[n*a.e:][:a.e], a.rows[t*a.e:][:a.e])
	}
})

// AddRowsForward adds learned positions: y[n] = x[n] + rows[n mod T].
// y and x are [N, E], rows is [T, E]; y may be x.
func AddRowsForward(p *Pool, y, x, rows []float32, N, T, E int) {
	needs(N*E, y, x)
	need(rows, T*E)
	c := p.pieces(N, elementGrain/max(1, E))
	addRowsLoop.run(p, c, addRowsArgs{y, x, rows, N, T, E, c})
}

var addRowsBackLoop = newLoop(func(a *addRowsArgs, worker, chunk int) {
	lo, hi := span(a.t, a.chunks, chunk)
	for t := lo; t < hi; t++ {
		d := a.y[t*a.e:][:a.e]
		for n := t; n < a.n; n += a.t {
			current.vecOps.add(d, d, a.x[n*a.e:][:a.e])
		}
	}
})

// AddRowsBackward accumulates drows[t] += sum of dy[n] over n mod T = t.
// The gradient of x is dy itself. drows is [T, E], dy is [N, E].
func AddRowsBackward(p *Pool, drows, dy []float32, N, T, E int) {
	need(drows, T*E)
	need(dy, N*E)
	c := p.pieces(T, elementGrain/max(1, E))
	addRowsBackLoop.run(p, c, addRowsArgs{y: drows, x: dy, n: N, t: T, e: E, chunks: c})
}

type addRowsAtArgs struct {
	addRowsArgs
	pos []int32
}

var addRowsAtLoop = newLoop(func(a *addRowsAtArgs, worker, chunk int) {
	lo, hi := span(a.n, a.chunks, chunk)
	for n := lo; n < hi; n++ {
		current.vecOps.add(a.y[n*a.e:][:a.e], a.x[n*a.e:][:a.e], a.rows[int(a.pos[n])*a.e:][:a.e])
	}
})

// AddRowsAt is AddRowsForward at given positions: y[n] = x[n] + rows[pos[n]]. y and
// x are [len(pos), E], rows has any number of rows of E; y may be x. The gradient
// of x is dy, that of rows EmbedBackward's with pos as ids. A position outside rows
// panics.
func AddRowsAt(p *Pool, y, x, rows []float32, pos []int32, E int) {
	N := len(pos)
	needs(N*E, y, x)
	checkIDs(pos, len(rows)/max(1, E))
	c := p.pieces(N, elementGrain/max(1, E))
	addRowsAtLoop.run(p, c, addRowsAtArgs{addRowsArgs{y: y, x: x, rows: rows, n: N, e: E, chunks: c}, pos})
}
