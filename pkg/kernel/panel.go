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
	// ahead is bf16.run for six rows that widen made float32 before, and does for the next ones what
	// widen does.
	ahead, widen func(t *tile)
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

// packPanels packs the rows of A that are done in panels: all of them where B is copied in
// pieces, else all whole panels, and the rest if a kernel of few rows would take longer.
func (g *gemm) packPanels() {
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
	g.a.packed = grow(&g.p.pack, ceil(g.inPanels, f.rows)*g.panel)
	if g.inPanels > 0 {
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
		rest.c.Data = g.c.Data[g.inPanels*g.c.Stride:]
		if g.init != nil {
			rest.init = g.init[g.inPanels*g.c.Stride:]
		}
	}
	sums := grow(&l.sums, ceil(g.inPanels, f.rows)*strip*f.rows)
	p := g.firstPiece(l)
	for ; lo < hi; lo += strip {
		p.n = min(strip, hi-lo)
		for p.k0 = 0; p.k0 < g.k; p.k0 += p.slice {
			g.takePiece(l, &p, lo, hi)
			g.panelTiles(&l.tile, sums, &p)
			if rest.c.Rows > 0 {
				rest.k0, rest.k, rest.first, rest.b.side = p.k0, p.k, lo, p.side
				rest.a.side = g.a.at(g.inPanels, p.k0)
				rest.skinnyColumns(l, lo, lo+p.n)
			}
		}
		g.panelOut(sums, lo, p.n)
	}
}

// panelPiece is what all panels read of B before they read the next piece: n rows, k values of
// them from k0 on.
type panelPiece struct {
	side
	k0, k, n  int
	slice     int            // k but at the end
	next      unsafe.Pointer // the next piece, whose rows are as far apart
	nextRows  int
	now, then []float32      // rows that are multiplied and those that come after them, widened, or nil
	held      unsafe.Pointer // the latter as they are stored
}

// firstPiece is a piece before there is anything in it.
func (g *gemm) firstPiece(l *lane) (p panelPiece) {
	f := g.q.panel
	p.slice = f.slice
	if g.b.bf16 == nil {
		return p
	}
	if p.slice = ceil(ceil(g.k, ceil(g.k, f.slice)), aheadStep) * aheadStep; g.k%p.slice == 0 {
		const half = aheadCols * aheadRow
		buf := grow(&l.wide, 2*half)
		p.now, p.then = buf[:half], buf[half:]
	}
	return p
}

// takePiece makes p the piece at its k0 of the rows from lo on, of those before hi.
func (g *gemm) takePiece(l *lane, p *panelPiece, lo, hi int) {
	f, strip := g.q.panel, g.panelStrip()
	p.side, p.k = g.b.at(lo, p.k0), min(p.slice, g.k-p.k0)
	switch {
	case p.q8 != nil:
		buf := grow(&l.wide, strip*f.slice)
		p.widen(buf, f.slice, p.free, p.n, p.k)
		p.side = side{data: buf, free: f.slice, inner: 1}
		p.next, p.nextRows = p.pointer(), p.n
	case p.k0+p.slice < g.k:
		p.next, p.nextRows = g.b.at(lo, p.k0+p.slice).pointer(), p.n
	case lo+strip < hi:
		p.next, p.nextRows = g.b.at(lo+strip, 0).pointer(), min(strip, hi-lo-strip)
	default:
		p.next, p.nextRows = p.pointer(), p.n
	}
}

// panelTiles multiplies all panels by a piece and adds to sums, where panel i's column j begins
// at (i·strip + j)·rows.
func (g *gemm) panelTiles(t *tile, sums []float32, p *panelPiece) {
	f, strip := g.q.panel, g.panelStrip()
	kernel := f.f32
	if p.bf16 != nil {
		kernel = f.bf16
	}
	t.k, t.bs = p.k, p.free
	for j := 0; j < p.n; j += kernel.cols {
		from, left := p.at(j, 0), p.n-j-kernel.cols
		t.b, t.bf16, t.cols, t.next = from.data, from.bf16, min(kernel.cols, p.n-j), p.next
		if left > 0 {
			t.next = p.at(j+kernel.cols, 0).pointer()
		} else {
			left = p.nextRows
		}
		run := kernel.run
		if p.then != nil && t.cols == aheadCols {
			p.ahead(f, t, left)
			run = f.ahead
		}
		for i := range ceil(g.inPanels, f.rows) {
			t.a, t.c, t.init = g.a.packed[i*g.panel+p.k0*f.rows:], sums[(i*strip+j)*f.rows:], nil
			if p.k0 > 0 {
				t.init = t.c
			}
			run(t)
		}
	}
}

// How f.ahead takes B: so many rows, widened by so many values at a time to rows so far apart.
const aheadCols, aheadStep, aheadRow = 6, 16, 528

// ahead makes t one of rows that are widened already, or at once if they are the first ones, and of
// the next ones to be widened meanwhile, if there are enough of them.
func (p *panelPiece) ahead(f *panelForm, t *tile, left int) {
	at, next := unsafe.Pointer(&t.bf16[0]), t.next
	if p.held != at {
		t.next, t.sums = at, p.then
		f.widen(t)
	}
	p.now, p.then = p.then, p.now
	if left < aheadCols {
		next = at
	}
	t.b, t.sums, t.next, p.held = p.now, p.then, next, next
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
