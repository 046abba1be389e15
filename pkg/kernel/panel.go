package kernel

import "unsafe"

// A product of some tens of rows, as when a model continues many texts at once, is a
// skinny one too: B is read once, as it lies. Here A is packed in panels of rows instead,
// so that a value of B, broadcast, serves a vector of A's rows and nothing has to be added
// up across a vector. The sums are those of C transposed.

// panelForm is how a path multiplies panels. But for columns it is by a B whose inner index is contiguous.
type panelForm struct {
	rows      int // of A in a panel
	least     int // rows of A that are worth a panel
	most      int // rows of a product at most
	slice     int // inner length of the piece of B that all panels read before the next one
	f32, bf16 panelKernel
	columns   columnKernel // of a B of bfloat16 whose columns are contiguous
	// ahead is bf16.run for some times six rows of B, of which widen made the first six float32 before, and
	// does for each next six what widen does.
	ahead, widen func(t *tile)
	deep         int // inner length at most of their pieces, so that two sixes and a panel fit the first cache
	wide         int // columns of a piece of a B of eight bits, which is widened to float32
	// turn transposes n = 8 rows of k values, stride bytes apart, to k rows that are w values
	// apart.
	turn func(dst, src *float32, stride, n, w, k int)
}

// panelKernel is the kernel for a type of B.
type panelKernel struct {
	cols, strip int           // columns of a register tile, and of the piece
	run         func(t *tile) // c[j·rows+i] = [c +] sum over k of a[k·rows+i]·B[j,k], added where init is not nil
}

// mostPacked is how many values of A are packed for a B whose columns are contiguous: the gradient
// of a head's input has an inner length of a vocabulary, and A would be there twice.
const mostPacked = 1 << 20

// cutPanels decides which rows of A are done in panels: all of them where B's columns are contiguous, else all whole
// panels, and the rest if a kernel of few rows would take longer.
func (g *gemm) cutPanels() {
	f, m := g.q.panel, g.c.Rows
	switch {
	case f == nil || g.b.inner != 1 && (g.b.bf16 == nil || !g.inPieces() || m*g.k > mostPacked):
		return
	case g.b.inner != 1:
		g.inPanels = m
	default:
		g.inPanels = m / f.rows * f.rows
		if m-g.inPanels >= f.least {
			g.inPanels = m
		}
	}
	g.panel = panelSize(f.rows, g.k)
	g.p.products++
	g.number = g.p.products
}

// packPanels packs the rows that are done in panels, once for each worker: to write what another one has read takes
// longer than to pack it again.
func (g *gemm) packPanels(l *lane) {
	f := g.q.panel
	g.a.packed = grow(&l.panels, ceil(g.inPanels, f.rows)*g.panel)
	if l.packed != g.number {
		l.packed = g.number
		g.q.pack(g.a.packed, g.a.side, g.inPanels, f.rows, g.k, g.panel)
	}
}

// panelStrip is how many columns are done at a time.
func (g *gemm) panelStrip() int {
	switch f := g.q.panel; {
	case g.b.q8 != nil:
		return f.wide
	case g.b.bf16 != nil:
		return f.bf16.strip
	default:
		return f.f32.strip
	}
}

// panelRange does columns lo to hi of C: the rows in panels, and the others by the kernels
// of few rows while B's piece is in the first cache.
func (g *gemm) panelRange(l *lane, lo, hi int) {
	f, strip := g.q.panel, g.panelStrip()
	rest := *g
	rest.inPanels = 0
	rest.c.Rows -= g.inPanels
	if rest.c.Rows > 0 {
		rest.a.side, rest.c.Data = g.a.at(g.inPanels, 0), g.c.Data[g.inPanels*g.c.Stride:]
		if g.init != nil {
			rest.init = g.init[g.inPanels*g.c.Stride:]
		}
	}
	sums := grow(&l.sums, ceil(g.inPanels, f.rows)*strip*f.rows)
	p := g.firstPiece(l)
	for ; lo < hi; lo += strip {
		p.n = min(strip, hi-lo)
		for p.k0 = 0; p.k0 < g.k; p.k0 += p.k {
			g.takePiece(l, &p, lo, hi)
			g.panelTiles(&l.tile, sums, &p)
			if p.now == nil {
				rest.panelRest(l, &p, lo)
			}
		}
		if p.now != nil {
			rest.panelRests(l, lo, p.n)
		}
		g.panelOut(sums, lo, p.n)
	}
}

// panelRest multiplies the rows that are in no panel by a piece.
func (g *gemm) panelRest(l *lane, p *panelPiece, lo int) {
	if g.c.Rows == 0 {
		return
	}
	h := *g
	h.k0, h.k, h.first, h.b.side, h.a.side = p.k0, p.k, lo, p.side, g.a.at(0, p.k0)
	h.skinnyColumns(l, lo, lo+p.n)
}

// panelRests multiplies the rows that are in no panel by n rows of B, where pieces are shorter than is good for
// few rows.
func (g *gemm) panelRests(l *lane, lo, n int) {
	slice := g.q.panel.evenSlice(g.k)
	for k0 := 0; k0 < g.k; k0 += slice {
		g.panelRest(l, &panelPiece{side: g.b.at(lo, k0), k0: k0, k: min(slice, g.k-k0), n: n}, lo)
	}
}

// evenSlice is the inner length of pieces as long as may be and, but for the last one, as each other.
func (f *panelForm) evenSlice(k int) int {
	return ceil(ceil(k, ceil(k, f.slice)), aheadStep) * aheadStep
}

// panelPiece is what all panels read of B before they read the next piece: n rows, k values of
// them from k0 on.
type panelPiece struct {
	side
	k0, k, n  int
	slice     int            // k but at the end, or where rows are widened ahead at the beginning: they are widened for as many values as are multiplied
	next      unsafe.Pointer // the next piece, whose rows are as far apart
	nextRows  int
	later     unsafe.Pointer // what is fetched meanwhile, in memory's order
	now, then []float32      // six rows widened, and room for the six that come after them, or nil
	held      unsafe.Pointer // now's as they are stored
	wide      int            // and how many values of each are widened
}

// firstPiece is a piece before there is anything in it.
func (g *gemm) firstPiece(l *lane) (p panelPiece) {
	f := g.q.panel
	p.slice = f.slice
	if g.b.bf16 == nil {
		return p
	}
	if g.k%aheadStep > 0 {
		p.slice = f.evenSlice(g.k)
		return p
	}
	p.slice = ceil(ceil(g.k, ceil(g.k, f.deep)), aheadStep) * aheadStep
	const half = aheadCols * aheadRow
	buf := grow(&l.wide, 2*half)
	p.now, p.then = buf[:half], buf[half:]
	return p
}

// takePiece makes p the piece at its k0 of the rows from lo on, of those before hi.
func (g *gemm) takePiece(l *lane, p *panelPiece, lo, hi int) {
	f, strip := g.q.panel, g.panelStrip()
	p.side, p.k = g.b.at(lo, p.k0), min(p.slice, g.k-p.k0)
	if p.now != nil && p.k0 == 0 {
		p.k = g.k - (ceil(g.k, p.slice)-1)*p.slice
	}
	switch {
	case p.q8 != nil:
		buf := grow(&l.wide, strip*f.slice)
		p.widen(buf, f.slice, p.free, p.n, p.k)
		p.side = side{data: buf, free: f.slice, inner: 1}
		p.next, p.nextRows = p.pointer(), p.n
	case p.k0+p.k < g.k:
		p.next, p.nextRows = g.b.at(lo, p.k0+p.k).pointer(), p.n
	case lo+strip < hi:
		p.next, p.nextRows = g.b.at(lo+strip, 0).pointer(), min(strip, hi-lo-strip)
	default:
		p.next, p.nextRows = p.pointer(), p.n
	}
	p.later = p.pointer()
	if p.now == nil {
		return
	}
	if lo += strip; lo >= hi {
		lo = g.nextChunk(l)
	}
	if at := lo*p.free + p.k0*strip; at < len(g.b.bf16) {
		p.later = unsafe.Pointer(&g.b.bf16[at])
	}
}

// nextChunk is the first column of the chunk that this worker does after the one at hand; beyond B's columns there is none.
func (g *gemm) nextChunk(l *lane) int {
	if !g.inChunks {
		return g.c.Cols
	}
	return int(g.p.claim(l)) * g.group
}

// panelTiles multiplies all panels by a piece and adds to sums, where panel i's column j begins
// at (i·strip + j)·rows.
func (g *gemm) panelTiles(t *tile, sums []float32, p *panelPiece) {
	f, strip, ahead := g.q.panel, g.panelStrip(), 0
	kernel := f.f32
	if p.bf16 != nil {
		kernel = f.bf16
	}
	if p.now != nil {
		ahead = p.n / aheadCols * aheadCols
	}
	t.k, t.bs = p.k, p.free
	panels := ceil(g.inPanels, f.rows)
	for i := range panels {
		if ahead == 0 {
			break
		}
		g.panelTile(t, sums[i*strip*f.rows:], i, p.k0)
		t.cols = ahead
		p.ahead(f, t, i+1 < panels)
	}
	for j := ahead; j < p.n; j += kernel.cols {
		from, left := p.at(j, 0), p.n-j-kernel.cols
		t.b, t.bf16, t.cols, t.next = from.data, from.bf16, min(kernel.cols, p.n-j), p.next
		if left > 0 {
			t.next = p.at(j+kernel.cols, 0).pointer()
		}
		for i := range panels {
			g.panelTile(t, sums[(i*strip+j)*f.rows:], i, p.k0)
			kernel.run(t)
		}
	}
}

// panelTile points t at panel i from k0 on and at its sums.
func (g *gemm) panelTile(t *tile, sums []float32, i, k0 int) {
	t.a, t.c, t.init = g.a.packed[i*g.panel+k0*g.q.panel.rows:], sums, nil
	if k0 > 0 {
		t.init = t.c
	}
}

// How f.ahead takes B: so many rows, widened by so many values at a time to rows so far apart.
const aheadCols, aheadStep, aheadRow = 6, 16, 208

// ahead multiplies a panel by the first t.cols rows of the piece. The first six of those that come after, its
// own again or the next piece's, are widened meanwhile if there are six.
func (p *panelPiece) ahead(f *panelForm, t *tile, again bool) {
	t.bf16 = p.bf16
	own := unsafe.Pointer(&t.bf16[0])
	if p.held != own {
		p.wide = 0
	}
	if p.wide < p.k {
		t.next, t.sums, t.k = unsafe.Pointer(&t.bf16[p.wide]), p.now[p.wide:], p.k-p.wide
		f.widen(t)
	}
	t.next = p.next
	if again || p.nextRows < aheadCols {
		t.next = own
	}
	t.k, t.b, t.sums, t.far = p.k, p.now, p.then, p.later
	f.ahead(t)
	p.held, p.wide = t.next, p.k
	if t.cols/aheadCols%2 > 0 {
		p.now, p.then = p.then, p.now
	}
}

// panelOut writes n columns of C from lo on, with what is to be added.
func (g *gemm) panelOut(sums []float32, lo, n int) {
	f, strip, stride := g.q.panel, g.panelStrip(), g.c.Stride
	for p := range ceil(g.inPanels, f.rows) {
		rows := min(f.rows, g.inPanels-p*f.rows)
		at, s := p*f.rows*stride+lo, sums[p*strip*f.rows:]
		done := 0
		if g.init == nil && g.bias == nil {
			for ; done+8 <= n; done += 8 {
				f.turn(&g.c.Data[at+done], &s[done*f.rows], 4*f.rows, 8, stride, rows)
			}
		}
		for i := range rows {
			c := g.c.Data[at+i*stride:][:n]
			for j := done; j < n; j++ {
				v := s[j*f.rows+i]
				if g.init != nil {
					v += g.init[at+i*stride+j]
				}
				if g.bias != nil {
					v += g.bias[lo+j]
				}
				c[j] = v
			}
		}
	}
}
