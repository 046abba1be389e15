package kernel

// MatMul computes C = [C +] op(A)·op(B) [+ Bias] [+ Residual] for C (m, n),
// op(A) (m, k) and op(B) (k, n); o says which terms there are. C must overlap
// neither A nor B; Residual may be C's own data. Every value of C is summed in
// an order that depends on the shape and the path alone, so any number of
// threads gives the same bits. It panics on shapes that do not fit.
//
// A and B may be stored as bfloat16 (Matrix.BF16); with o.BF16 the bits are those of
// the same values as float32.
//
// The scheme is that of K. Goto and R. van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008. The inner length is cut in
// slices. Of each slice the workers together pack the factor with fewer rows (A)
// or columns (B) in panels as high or as wide as a register tile. Then they share
// out bands of the other factor; for each band one worker packs it, small enough
// to stay in its cache, and runs the tiles.
func MatMul(p *Pool, c, a, b Matrix, o Product) {
	b.check()
	m, n, k := o.dims(c, a, b.Rows, b.Cols)
	if m == 0 || n == 0 {
		return
	}
	g := newGemm(p, c, newSide(a.Data, a.BF16, a.Stride, o.TransA), newSide(b.Data, b.BF16, b.Stride, !o.TransB), &o)
	if b.BF16 != nil {
		g.packed(m, n, k) // as where B is float32 and rounded
		return
	}
	g.run(m, n, k)
}

// MatMul16 is MatMul with B stored as bfloat16. With o.BF16 A is rounded to
// bfloat16, else B is widened and the product is one of float32.
func MatMul16(p *Pool, c, a Matrix, b Matrix16, o Product) {
	b.check()
	m, n, k := o.dims(c, a, b.Rows, b.Cols)
	if m == 0 || n == 0 {
		return
	}
	g := newGemm(p, c, newSide(a.Data, a.BF16, a.Stride, o.TransA), newSide(nil, b.Data, b.Stride, !o.TransB), &o)
	g.run(m, n, k)
}

func (g *gemm) run(m, n, k int) {
	if g.isSkinny(m, k) {
		g.skinny(k)
		return
	}
	g.packed(m, n, k)
}

// packed does a product whose factors are packed.
func (g *gemm) packed(m, n, k int) {
	if m*n*k <= smallProduct || g.p.threads == 1 {
		g.alone(k)
		return
	}
	g.shared(k)
}

const (
	smallProduct = 32 * 32 * 32 // below this, waking workers costs more than it gains
	sharedSize   = 2 << 20      // values that the workers pack together at a time
	aloneCols    = 512          // columns of B that one worker packs for itself
	packWidth    = 128          // rows of A or columns of B that are packed side by side
	panelGap     = 32           // values between panels, which packing may write
)

// gemm is a product in progress.
type gemm struct {
	p    *Pool
	q    *path
	bf16 bool // round both factors
	pair int  // values in a lane of a panel: 2 where bfloat16 is native
	c    Matrix
	a, b factor
	init []float32 // what the first slice starts from: nil, C or Residual
	bias []float32 // what the first slice adds

	k0, k     int  // slice of the inner length at hand
	first     int  // column of C that B's first column makes, in a skinny product
	inChunks  bool // a skinny product is shared out in chunks of group columns
	group     int  // panels of the shared factor that are packed side by side; columns of a skinny chunk
	inPanels  int  // rows of A that a skinny product packs in panels, the first ones
	panel     int  // values from one of these panels to the next
	number    int  // of the product, by which a worker knows whether it packed them
	shareA    bool // A is packed by all workers, and B by the one that uses it
	bands     int  // bands of the factor that one worker packs
	grid, cut int  // parts that the shared factor is cut in, and panels of a part
}

// factor is A or B and what is packed of it.
type factor struct {
	side
	w      int       // rows of A or columns of B in a panel
	lo, n  int       // what is at hand of the free index
	packed []float32 // its panels
	base   int       // number of the first packed panel
}

func (f *factor) panels() int { return ceil(f.n, f.w) }

func newGemm(p *Pool, c Matrix, a, b side, o *Product) gemm {
	q := current
	g := gemm{p: p, q: q, bf16: o.BF16, pair: 1, c: c, a: factor{side: a, w: q.mr, n: c.Rows}, b: factor{side: b, w: q.nr, n: c.Cols}, bias: o.Bias}
	if o.BF16 && q.bf16 {
		g.pair = 2
	}
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
// as equal as possible, at most what the path wants, and whole pairs.
func (g *gemm) slice(k int) int {
	if k == 0 {
		return g.pair
	}
	n := ceil(k, g.q.kc*g.pair)
	return ceil(ceil(k, n), g.pair) * g.pair
}

// lanes is the length of the panels at hand.
func (g *gemm) lanes() int { return ceil(g.k, g.pair) }

func ceil(n, d int) int { return (n + d - 1) / d }

// panelSize is how many values apart panels of width w and length k are. Whole
// lines, and not a power of two of them, which would share a cache's sets.
func panelSize(w, k int) int { return (w*k+15)/16*16 + panelGap }

// pack packs panels lo to hi of f in dst, for a worker.
func (g *gemm) pack(l *lane, dst []float32, f *factor, lo, hi int) {
	n, k := min(hi*f.w, f.n)-lo*f.w, g.k
	if n <= 0 || k <= 0 {
		return
	}
	from, size := f.at(f.lo+lo*f.w, g.k0), panelSize(f.w, g.lanes())
	switch {
	case g.pair == 2:
		g.q.packBF16(dst, from, n, f.w, k, size)
	case from.bf16 != nil || from.q8 != nil:
		g.widen(l, dst, from, n, f.w, k, size)
	default:
		g.q.pack(dst, from, n, f.w, k, size)
	}
	if g.bf16 && g.pair == 1 && from.bf16 == nil {
		for i := 0; i < n; i += f.w {
			current.vecOps.round(dst[i/f.w*size:][:f.w*k])
		}
	}
}

// widen packs a side of 16 or 8 bits as float32: where its free index is contiguous, a
// piece at a time that stays in the first cache, else a panel.
func (g *gemm) widen(l *lane, dst []float32, s side, n, w, k, size int) {
	if s.free != 1 {
		for lo := 0; lo < n; lo += w {
			m := min(w, n-lo)
			wide := side{data: grow(&l.wide, m*k), free: k, inner: 1}
			from := s.at(lo, 0)
			from.widen(wide.data, k, s.free, m, k)
			g.q.pack(dst[lo/w*size:], wide, m, w, k, size)
		}
		return
	}
	const rows = 32
	cols := 256 / w * w // of a piece: whole panels, and whole blocks of eight bits, whose panels' widths divide 256
	for lo := 0; lo < n; lo += cols {
		m := min(cols, n-lo)
		wide := side{data: grow(&l.wide, m*rows), free: 1, inner: m}
		for kk := 0; kk < k; kk += rows {
			from, high := s.at(lo, kk), min(rows, k-kk)
			from.widen(wide.data, m, s.inner, high, m)
			g.q.pack(dst[lo/w*size+kk*w:], wide, m, w, high, size)
		}
	}
}

// alone does the whole product on the calling worker.
func (g *gemm) alone(k int) {
	l, kc := &g.p.lanes[0], g.slice(k)
	na := g.a.panels()
	for g.b.lo = 0; g.b.lo < g.c.Cols; g.b.lo += aloneCols {
		g.b.n = min(aloneCols, g.c.Cols-g.b.lo)
		nb := g.b.panels()
		for g.k0 = 0; g.k0 == 0 || g.k0 < k; g.k0 += kc {
			g.k = min(kc, k-g.k0)
			band := min(na, g.most(g.q.mr))
			sizeB := nb * panelSize(g.q.nr, g.lanes())
			buf := grow(&l.pack, sizeB+band*panelSize(g.q.mr, g.lanes()))
			g.b.packed, g.a.packed = buf[:sizeB], buf[sizeB:]
			g.pack(l, g.b.packed, &g.b, 0, nb)
			for i := 0; i < na; i += band {
				g.a.base = i
				g.pack(l, g.a.packed, &g.a, i, i+band)
				g.tiles(&l.tile, i, min(i+band, na), 0, nb)
			}
		}
	}
}

// shared does the product on all workers.
func (g *gemm) shared(k int) {
	kc := g.slice(k)
	g.shareA = g.a.n < g.b.n
	own, all := &g.a, &g.b
	if g.shareA {
		own, all = all, own
	}
	n, most := all.n, max(1, sharedSize/(ceil(kc, g.pair)*all.w))*all.w
	for all.lo = 0; all.lo < n; all.lo += most {
		all.n = min(most, n-all.lo)
		g.grid = min(ceil(bandsPerWorker*g.p.threads, own.panels()), ceil(all.panels(), 4))
		g.cut = ceil(all.panels(), g.grid)
		g.grid = ceil(all.panels(), g.cut)
		for g.k0 = 0; g.k0 == 0 || g.k0 < k; g.k0 += kc {
			g.k = min(kc, k-g.k0)
			all.packed = grow(&g.p.pack, all.panels()*panelSize(all.w, g.lanes()))
			g.group = max(1, min(packWidth/all.w, all.panels()/(2*g.p.threads)))
			packLoop.run(g.p, ceil(all.panels(), g.group), *g)
			g.bands = 0
			for hi := 0; hi < own.panels(); g.bands++ {
				_, hi = g.band(own, g.bands)
			}
			tileLoop.run(g.p, g.bands*g.grid, *g)
		}
	}
}

// packLoop packs a group of panels of the shared factor. A chunk is whole panels,
// since packing may write behind a panel's last group.
var packLoop = newLoop(func(g *gemm, worker, chunk int) {
	f := &g.b
	if g.shareA {
		f = &g.a
	}
	lo := chunk * g.group
	g.pack(&g.p.lanes[worker], f.packed[lo*panelSize(f.w, g.lanes()):], f, lo, min(lo+g.group, f.panels()))
})

// tileLoop packs a band of the other factor and multiplies it by a part of the
// shared one.
var tileLoop = newLoop(func(g *gemm, worker, chunk int) {
	l, h := &g.p.lanes[worker], *g
	own, all := &h.a, &h.b
	if g.shareA {
		own, all = all, own
	}
	lo, hi := g.band(own, chunk/g.grid)
	part := chunk % g.grid * g.cut
	own.packed, own.base = grow(&l.pack, (hi-lo)*panelSize(own.w, g.lanes())), lo
	g.pack(l, own.packed, own, lo, hi)
	if end := min(part+g.cut, all.panels()); g.shareA {
		h.tiles(&l.tile, part, end, lo, hi)
	} else {
		h.tiles(&l.tile, lo, hi, part, end)
	}
})

// bandsPerWorker is how many pieces of work each worker should find.
const bandsPerWorker = 8

// most is how many panels of width w fit the cache that tiles read them from.
func (g *gemm) most(w int) int { return max(1, g.q.cache/(4*w*max(1, g.lanes()))) }

// band is the range of panels of f in band number i: each takes a part of what
// is left, so that the last ones are short and the workers end together.
func (g *gemm) band(f *factor, i int) (lo, hi int) {
	n, most := f.panels(), g.most(f.w)
	for ; ; i-- {
		left := n - lo
		hi = lo + min(left, most, max(ceil(left*g.grid, 2*g.p.threads), 1))
		if i == 0 || hi == n {
			return lo, hi
		}
		lo = hi
	}
}

// tiles multiplies the packed panels iLo to iHi of A by the panels jLo to jHi of
// B. The inner loop runs over the factor that stays in the worker's cache.
func (g *gemm) tiles(t *tile, iLo, iHi, jLo, jHi int) {
	t.k, t.cs, t.is = g.lanes(), g.c.Stride, g.c.Stride
	if g.shareA {
		for i := iLo; i < iHi; i++ {
			for j := jLo; j < jHi; j++ {
				g.tile(t, i, j)
			}
		}
		return
	}
	for j := jLo; j < jHi; j++ {
		for i := iLo; i < iHi; i++ {
			g.tile(t, i, j)
		}
	}
}

func (g *gemm) tile(t *tile, i, j int) {
	t.a = g.a.packed[(i-g.a.base)*panelSize(g.a.w, g.lanes()):]
	t.b = g.b.packed[(j-g.b.base)*panelSize(g.b.w, g.lanes()):]
	t.rows, t.cols = min(g.a.w, g.a.n-i*g.a.w), min(g.b.w, g.b.n-j*g.b.w)
	g.place(t, g.a.lo+i*g.a.w, g.b.lo+j*g.b.w)
	if g.pair == 2 {
		g.q.tileBF16(t)
	} else {
		g.q.tile(t)
	}
}

// place points t at C from (row, col) on, and at what is to be added there.
func (g *gemm) place(t *tile, row, col int) {
	at := row*g.c.Stride + col
	t.c, t.init, t.bias = g.c.Data[at:], nil, nil
	switch {
	case g.k0 > 0:
		t.init = t.c
	case g.init != nil:
		t.init = g.init[at:]
	}
	if g.k0 == 0 && g.bias != nil {
		t.bias = g.bias[col:]
	}
}
