package kernel

// MatMul computes C = [C +] op(A)·op(B) [+ Bias] [+ Residual] for C (m, n),
// op(A) (m, k) and op(B) (k, n); o says which terms there are. C must overlap
// neither A nor B; Residual may be C's own data. Every value of C is summed in
// an order that depends on the shape and the path alone, so any number of
// threads gives the same bits. It panics on shapes that do not fit.
//
// The scheme is that of K. Goto and R. van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008: slices of the inner length are
// packed in panels, B's as wide and A's as high as a register tile, and the
// grid of tiles is shared out between the workers.
func MatMul(p *Pool, c, a, b Matrix, o Product) {
	m, n, k := o.dims(c, a, b)
	if m == 0 || n == 0 {
		return
	}
	g := newGemm(p, c, leftSide(a, o.TransA), rightSide(b, o.TransB), &o)
	if m*n*k <= smallProduct || p.threads == 1 {
		g.single(&p.lanes[0], m, n, k)
		return
	}
	g.parallel(m, n, k)
}

// matTile is MatMul on the calling worker alone, for kernels that multiply
// tiles within their own chunks. Its packed panels are apart from Scratch.
func matTile(p *Pool, worker int, c, a, b Matrix, o Product) {
	m, n, k := o.dims(c, a, b)
	if m == 0 || n == 0 {
		return
	}
	g := newGemm(p, c, leftSide(a, o.TransA), rightSide(b, o.TransB), &o)
	g.single(&p.lanes[worker], m, n, k)
}

const (
	smallProduct = 32 * 32 * 32 // below this, waking workers costs more than it gains
	rowsBlock    = 2048         // rows of A packed at a time
	colsBlock    = 2048         // columns of B packed at a time
)

// gemm is a product in progress.
type gemm struct {
	p    *Pool
	q    *path
	c    Matrix
	a, b side
	init []float32 // what the first slice starts from: nil, C or Residual
	bias []float32 // what the first slice adds

	i0, rows int // rows of C at hand
	j0, cols int // columns of C at hand
	k0, k    int // slice of the inner length at hand
	pa, pb   []float32
	bandA    int // panels of A in a chunk
	bandB    int // panels of B in a chunk
	gridB    int // chunks along B
}

func newGemm(p *Pool, c Matrix, a, b side, o *Product) gemm {
	g := gemm{p: p, q: current, c: c, a: a, b: b, bias: o.Bias}
	switch {
	case o.Accumulate && o.Residual != nil:
		for i := range c.Rows {
			row := c.Data[i*c.Stride:][:c.Cols]
			for j, v := range o.Residual[i*c.Stride:][:c.Cols] {
				row[j] += v
			}
		}
		g.init = c.Data
	case o.Accumulate:
		g.init = c.Data
	case o.Residual != nil:
		g.init = o.Residual
	}
	return g
}

// slice is the length of each of the slices that the inner length k is cut in:
// as equal as possible and at most the path's.
func (q *path) slice(k int) int {
	if k == 0 {
		return 1
	}
	n := (k + q.kc - 1) / q.kc
	return (k + n - 1) / n
}

func ceil(n, d int) int { return (n + d - 1) / d }

// single does the whole product on one worker.
func (g *gemm) single(l *lane, m, n, k int) {
	q, kc := g.q, g.q.slice(k)
	const block = 256
	for g.j0 = 0; g.j0 < n; g.j0 += block {
		g.cols = min(block, n-g.j0)
		for g.k0 = 0; g.k0 == 0 || g.k0 < k; g.k0 += kc {
			g.k = min(kc, k-g.k0)
			nb := ceil(g.cols, q.nr)
			buf := grow(&l.pack, kc*(nb*q.nr+q.mr))
			g.pb, g.pa = buf[:kc*nb*q.nr], buf[kc*nb*q.nr:]
			for j := range nb {
				g.packB(j)
			}
			for g.i0 = 0; g.i0 < m; g.i0 += q.mr {
				g.rows = min(q.mr, m-g.i0)
				g.packA(0)
				for j := range nb {
					g.tile(l, 0, j)
				}
			}
		}
	}
}

// parallel shares the product between the pool's workers.
func (g *gemm) parallel(m, n, k int) {
	p, q, kc := g.p, g.q, g.q.slice(k)
	nc, mc := min(n, colsBlock), min(m, rowsBlock)
	g.pb = grow(&p.packB, kc*ceil(nc, q.nr)*q.nr)
	g.pa = grow(&p.packA, kc*ceil(mc, q.mr)*q.mr)
	for g.j0 = 0; g.j0 < n; g.j0 += nc {
		g.cols = min(nc, n-g.j0)
		for g.k0 = 0; g.k0 == 0 || g.k0 < k; g.k0 += kc {
			g.k = min(kc, k-g.k0)
			for g.i0 = 0; g.i0 < m; g.i0 += mc {
				g.rows = min(mc, m-g.i0)
				g.share()
			}
		}
	}
}

// share packs the panels at hand and multiplies them, on all workers.
func (g *gemm) share() {
	p := g.p
	na, nb := ceil(g.rows, g.q.mr), ceil(g.cols, g.q.nr)
	packs := na
	if g.i0 == 0 {
		packs += nb
	}
	packLoop.run(p, packs, *g)
	g.bandA, g.bandB = na, nb
	for want := 4 * p.threads; ceil(na, g.bandA)*ceil(nb, g.bandB) < want && (g.bandA > 1 || g.bandB > 1); {
		if g.bandB == 1 || g.bandA > 1 && g.bandA*g.q.mr >= g.bandB*g.q.nr {
			g.bandA = ceil(g.bandA, 2)
		} else {
			g.bandB = ceil(g.bandB, 2)
		}
	}
	g.gridB = ceil(nb, g.bandB)
	tileLoop.run(p, ceil(na, g.bandA)*g.gridB, *g)
}

var packLoop = newLoop(func(g *gemm, worker, chunk int) {
	if na := ceil(g.rows, g.q.mr); chunk >= na {
		g.packB(chunk - na)
	} else {
		g.packA(chunk)
	}
})

var tileLoop = newLoop(func(g *gemm, worker, chunk int) {
	l := &g.p.lanes[worker]
	a, b := chunk/g.gridB*g.bandA, chunk%g.gridB*g.bandB
	for j := b; j < min(b+g.bandB, ceil(g.cols, g.q.nr)); j++ {
		for i := a; i < min(a+g.bandA, ceil(g.rows, g.q.mr)); i++ {
			g.tile(l, i, j)
		}
	}
})

func (g *gemm) packA(i int) {
	w := g.q.mr
	if g.k == 0 {
		return
	}
	g.q.pack(g.pa[i*w*g.k:], g.a, g.i0+i*w, min(w, g.rows-i*w), w, g.k0, g.k)
}

func (g *gemm) packB(j int) {
	w := g.q.nr
	if g.k == 0 {
		return
	}
	g.q.pack(g.pb[j*w*g.k:], g.b, g.j0+j*w, min(w, g.cols-j*w), w, g.k0, g.k)
}

// tile multiplies A's panel i by B's panel j.
func (g *gemm) tile(l *lane, i, j int) {
	mr, nr := g.q.mr, g.q.nr
	at := (g.i0+i*mr)*g.c.Stride + g.j0 + j*nr
	t := &l.tile
	t.a, t.b, t.k = g.pa[i*mr*g.k:], g.pb[j*nr*g.k:], g.k
	t.rows, t.cols = min(mr, g.rows-i*mr), min(nr, g.cols-j*nr)
	t.c, t.cs, t.is = g.c.Data[at:], g.c.Stride, g.c.Stride
	t.init, t.bias = nil, nil
	if g.k0 > 0 {
		t.init = t.c
		g.q.tile(t)
		return
	}
	if g.init != nil {
		t.init = g.init[at:]
	}
	if g.bias != nil {
		t.bias = g.bias[g.j0+j*nr:]
	}
	g.q.tile(t)
}
