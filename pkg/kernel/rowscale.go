package kernel

// rowGrain is how many values a worker takes at least of what goes by rows.
const rowGrain = 1 << 14

type projectArgs struct {
	r, g, dirs []float32
	squares    []float64
	cols, k    int
	f          float32
	chunks     int
}

var projectLoop = newLoop(func(a *projectArgs, worker, chunk int) {
	lo, hi := span(len(a.squares), a.chunks, chunk)
	for i := lo; i < hi; i++ {
		g, r := a.g[i*a.cols:][:a.cols], a.r[i*a.k:][:a.k]
		a.squares[i] = current.vecOps.square(g)
		current.vecOps.dots(r, g, a.dirs, a.cols)
		for j := range r {
			r[j] *= a.f
		}
	}
})

// ProjectRows projects the rows of g, len(squares) rows of cols values, on k directions of
// as many values each, which follow each other in dirs: r[i·k+j] = f·(g[i] · dirs[j]). squares[i]
// becomes the sum of the squares of row i.
func ProjectRows(p *Pool, r []float32, squares []float64, g, dirs []float32, cols int, f float32) {
	rows := len(squares)
	if cols <= 0 || len(dirs)%cols != 0 {
		panic(badShape)
	}
	k := len(dirs) / cols
	need(g, rows*cols)
	need(r, rows*k)
	n := p.pieces(rows, max(1, rowGrain/cols))
	projectLoop.run(p, n, projectArgs{r, g, dirs, squares, cols, k, f, n})
}

type addRowsScaledArgs struct {
	w      Weights
	g, f   []float32
	keep   float32
	cols   int
	seed   uint32
	p      *Pool
	chunks int
}

var addRowsScaledLoop = newLoop(func(a *addRowsScaledArgs, worker, chunk int) {
	lo, hi := span(len(a.f), a.chunks, chunk)
	v := current.vecOps
	for i := lo; i < hi; i++ {
		if a.f[i] == 0 && a.keep == 1 {
			continue
		}
		at := i * a.cols
		w, g := []float32(nil), a.g[at:][:a.cols]
		if a.w.BF16 == nil {
			w = a.w.F32[at:][:a.cols]
		} else {
			w = a.p.Scratch(worker, a.cols)[:a.cols]
			FromBF16(w, a.w.BF16[at:])
		}
		if a.keep != 1 {
			v.affine(w, w, a.keep, 0)
		}
		v.addScaled(w, w, g, a.f[i])
		if a.w.BF16 != nil {
			randomRow(a.w.BF16[at:], w, a.seed+uint32(at))
		}
	}
})

// AddScaledRows computes w[i] = keep·w[i] + f[i]·g[i] for len(f) rows of cols values. w is
// float32, or bfloat16: then sums are rounded at random as by ToBF16Random, element j of w by
// what is drawn for seed + j; a row with f 0 and keep 1 stays as it is.
func AddScaledRows(p *Pool, w Weights, g []float32, cols int, keep float32, f []float32, seed uint32) {
	if w.Q8 != nil || cols <= 0 {
		panic(badShape)
	}
	w.check(len(f), cols)
	need(g, len(f)*cols)
	n := p.pieces(len(f), max(1, rowGrain/cols))
	addRowsScaledLoop.run(p, n, addRowsScaledArgs{w, g, f, keep, cols, seed, p, n})
}
