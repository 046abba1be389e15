package kernel

type embedArgs struct {
	y, table []float32
	ids      []int32
	e        int
	chunks   int
}

var embedLoop = newLoop(func(a *embedArgs, worker, chunk int) {
	lo, hi := span(len(a.ids), a.chunks, chunk)
	for n := lo; n < hi; n++ {
		copy(a.y[n*a.e:][:a.e], a.table[int(a.ids[n])*a.e:][:a.e])
	}
})

// EmbedForward looks rows up: y[n] = table[ids[n]]. y is [len(ids), E], table
// is [V, E]. An id outside the table panics.
func EmbedForward(p *Pool, y, table []float32, ids []int32, E int) {
	need(y, len(ids)*E)
	checkIDs(ids, len(table)/max(1, E))
	c := p.pieces(len(ids), elementGrain/max(1, E))
	embedLoop.run(p, c, embedArgs{y, table, ids, E, c})
}

type embedWeightsArgs struct {
	y      []float32
	table  Weights
	ids    []int32
	e      int
	chunks int
}

var embedWeightsLoop = newLoop(func(a *embedWeightsArgs, worker, chunk int) {
	lo, hi := span(len(a.ids), a.chunks, chunk)
	for n := lo; n < hi; n++ {
		a.table.row(a.y[n*a.e:][:a.e], int(a.ids[n]), a.e)
	}
})

// EmbedWeights is EmbedForward of a table [V, E] as it is stored. An id outside the
// table panics.
func EmbedWeights(p *Pool, y []float32, table Weights, ids []int32, V, E int) {
	need(y, len(ids)*E)
	table.check(V, E)
	checkIDs(ids, V)
	c := p.pieces(len(ids), elementGrain/max(1, E))
	embedWeightsLoop.run(p, c, embedWeightsArgs{y, table, ids, E, c})
}

const badID = "kernel: id outside its table"

func checkIDs(ids []int32, rows int) {
	for _, id := range ids {
		if id < 0 || int(id) >= rows {
			panic(badID)
		}
	}
}

// embedBackLoop gives each chunk a range of columns, so that two tokens with
// one id never meet and the order of a sum is the order of the tokens.
var embedBackLoop = newLoop(func(a *embedArgs, worker, chunk int) {
	lo, hi := span(a.e, a.chunks, chunk)
	for n, id := range a.ids {
		d := a.table[int(id)*a.e+lo : int(id)*a.e+hi]
		current.vecOps.add(d, d, a.y[n*a.e+lo:n*a.e+hi])
	}
})

// EmbedBackward accumulates dtable[ids[n]] += dy[n], in the order of n.
// dtable is [V, E], dy is [len(ids), E].
func EmbedBackward(p *Pool, dtable, dy []float32, ids []int32, E int) {
	need(dy, len(ids)*E)
	checkIDs(ids, len(dtable)/max(1, E))
	c := p.columns(E)
	embedBackLoop.run(p, c, embedArgs{dy, dtable, ids, E, c})
}

// columns is how many chunks E columns are cut in where every chunk walks down
// all rows: one a worker, each at least four cache lines wide.
func (p *Pool) columns(E int) int { return max(1, min(2*p.threads, E/64)) }
