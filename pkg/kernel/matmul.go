package kernel

// MatMul computes C = [C +] op(A)·op(B) [+ Bias] [+ Residual] for C (m, n),
// op(A) (m, k) and op(B) (k, n); o says which terms there are. C must overlap
// neither A nor B; Residual may be C's own data. Every value of C is summed in
// an order that depends on the shape and the path alone, so any number of
// threads gives the same bits. It panics on shapes that do not fit.
//
// The scheme is that of K. Goto and R. van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008. The inner length is cut in
// slices. Of each slice the workers together pack B in panels as wide as a
// register tile; then they share out bands of rows, and for each band one worker
// packs A in panels as high as a tile and runs the tiles.
func MatMul(p *Pool, c, a, b Matrix, o Product) {
	m, n, k := o.dims(c, a, b)
	if m == 0 || n == 0 {
		return
	}
	g := newGemm(p, c, leftSide(a, o.TransA), rightSide(b, o.TransB), &o)
	if m*n*k <= smallProduct || p.threads == 1 {
		g.alone(0, k)
		return
	}
	g.shared(k)
}

// matTile is MatMul on the calling worker alone, for kernels that multiply
// tiles within their own chunks. Its packed panels are apart from Scratch.
func matTile(p *Pool, worker int, c, a, b Matrix, o Product) {
	m, n, k := o.dims(c, a, b)
	if m == 0 || n == 0 {
		return
	}
	g := newGemm(p, c, leftSide(a, o.TransA), rightSide(b, o.TransB), &o)
	g.alone(worker, k)
}

const (
	smallProduct = 32 * 32 * 32 // below this, waking workers costs more than it gains
	colsShared   = 4096         // columns of B packed at a time, by all workers
	colsAlone    = 512          // the same by one worker for itself
	depth        = 32           // inner values that are packed side by side
)

// gemm is a product in progress.
type gemm struct {
	p    *Pool
	q    *path
	c    Matrix
	a, b side
	init []float32 // what the first slice starts from: nil, C or Residual
	bias []float32 // what the first slice adds

	k0, k    int       // slice of the inner length at hand
	j0, cols int       // columns at hand
	pb       []float32 // their panels of B
	bandB    int       // panels of B in a chunk
	gridB    int       // chunks along B
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
	n := ceil(k, q.kc)
	return ceil(k, n)
}

func ceil(n, d int) int { return (n + d - 1) / d }

// alone does the whole product on one worker.
func (g *gemm) alone(worker, k int) {
	l, q, kc := &g.p.lanes[worker], g.q, g.q.slice(k)
	na := ceil(g.c.Rows, q.mr)
	for g.j0 = 0; g.j0 < g.c.Cols; g.j0 += colsAlone {
		g.cols = min(colsAlone, g.c.Cols-g.j0)
		nb := ceil(g.cols, q.nr)
		for g.k0 = 0; g.k0 == 0 || g.k0 < k; g.k0 += kc {
			g.k = min(kc, k-g.k0)
			band := min(na, g.maxBand())
			buf := grow(&l.pack, g.k*(nb*q.nr+band*q.mr))
			g.pb = buf[:g.k*nb*q.nr]
			q.panels(g.pb, g.b, g.j0, g.cols, q.nr, g.k0, 0, g.k, g.k)
			for i := 0; i < na; i += band {
				g.tiles(l, buf[len(g.pb):], i, min(i+band, na), 0, nb)
			}
		}
	}
}

// shared does the product on all workers.
func (g *gemm) shared(k int) {
	q, kc := g.q, g.q.slice(k)
	na := ceil(g.c.Rows, q.mr)
	for g.j0 = 0; g.j0 < g.c.Cols; g.j0 += colsShared {
		g.cols = min(colsShared, g.c.Cols-g.j0)
		nb := ceil(g.cols, q.nr)
		g.gridB = min(ceil(bandsPerWorker*g.p.threads, na), ceil(nb, 4))
		g.bandB = ceil(nb, g.gridB)
		g.gridB = ceil(nb, g.bandB)
		for g.k0 = 0; g.k0 == 0 || g.k0 < k; g.k0 += kc {
			g.k = min(kc, k-g.k0)
			g.pb = grow(&g.p.packB, g.k*nb*q.nr)
			chunks := nb
			if g.b.free == 1 {
				chunks = ceil(g.k, depth)
			}
			packLoop.run(g.p, chunks, *g)
			bands := 0
			for lo := 0; lo < na; bands++ {
				_, lo = g.band(bands)
			}
			tileLoop.run(g.p, bands*g.gridB, *g)
		}
	}
}

// packLoop packs B: whole panels where its rows become columns, else a number
// of rows of all panels, as they lie in memory.
var packLoop = newLoop(func(g *gemm, worker, chunk int) {
	w := g.q.nr
	if g.b.free == 1 {
		k := chunk * depth
		g.q.panels(g.pb, g.b, g.j0, g.cols, w, g.k0, k, min(k+depth, g.k), g.k)
		return
	}
	j := chunk * w
	g.q.panels(g.pb[j*g.k:], g.b, g.j0+j, min(w, g.cols-j), w, g.k0, 0, g.k, g.k)
})

var tileLoop = newLoop(func(g *gemm, worker, chunk int) {
	l := &g.p.lanes[worker]
	lo, hi := g.band(chunk / g.gridB)
	j := chunk % g.gridB * g.bandB
	buf := grow(&l.pack, g.maxBand()*g.q.mr*g.k)
	g.tiles(l, buf, lo, hi, j, min(j+g.bandB, ceil(g.cols, g.q.nr)))
})

// bandsPerWorker is how many pieces of work each worker should find.
const bandsPerWorker = 8

// maxBand is how many panels of A fit the cache that tiles read them from.
func (g *gemm) maxBand() int { return max(1, g.q.cache/(4*g.q.mr*max(1, g.k))) }

// band is the range of panels of A in band number i: each takes a part of what
// is left, so that the last ones are short and the workers end together.
func (g *gemm) band(i int) (lo, hi int) {
	na, top := ceil(g.c.Rows, g.q.mr), g.maxBand()
	for ; ; i-- {
		left := na - lo
		hi = lo + min(left, top, max(ceil(left*g.gridB, 2*g.p.threads), 1))
		if i == 0 || hi == na {
			return lo, hi
		}
		lo = hi
	}
}

// panels packs n values of the free index from lo and inner values from k0+kLo
// to k0+kHi as panels of width w and length k, of which it writes the groups
// kLo to kHi.
func (q *path) panels(dst []float32, s side, lo, n, w, k0, kLo, kHi, k int) {
	if kLo >= kHi {
		return
	}
	step := kHi - kLo
	if s.free == 1 {
		step = depth
	}
	for kk := kLo; kk < kHi; kk += step {
		for i := 0; i < n; i += w {
			q.pack(dst[i*k+kk*w:], s, lo+i, min(w, n-i), w, k0+kk, min(step, kHi-kk))
		}
	}
}

// tiles packs panels iLo to iHi of A in buf and multiplies them by panels jLo
// to jHi of B.
func (g *gemm) tiles(l *lane, buf []float32, iLo, iHi, jLo, jHi int) {
	mr, nr, k := g.q.mr, g.q.nr, g.k
	g.q.panels(buf, g.a, iLo*mr, min(iHi*mr, g.c.Rows)-iLo*mr, mr, g.k0, 0, k, k)
	t := &l.tile
	t.k, t.cs, t.is = k, g.c.Stride, g.c.Stride
	for j := jLo; j < jHi; j++ {
		t.b, t.bias = g.pb[j*nr*k:], nil
		t.cols = min(nr, g.cols-j*nr)
		if g.k0 == 0 && g.bias != nil {
			t.bias = g.bias[g.j0+j*nr:]
		}
		for i := iLo; i < iHi; i++ {
			at := i*mr*g.c.Stride + g.j0 + j*nr
			t.a, t.c = buf[(i-iLo)*mr*k:], g.c.Data[at:]
			t.rows = min(mr, g.c.Rows-i*mr)
			switch {
			case g.k0 > 0:
				t.init = t.c
			case g.init != nil:
				t.init = g.init[at:]
			default:
				t.init = nil
			}
			g.q.tile(t)
		}
	}
}
