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
	wide      int          // columns of a piece of a B of eight bits, which is widened to float32
	// turn transposes n = 8 rows of k values, stride bytes apart, to k rows that are w values
	// apart.
	turn func(dst, src *float32, stride, n, w, k int)
}

// panelKernel is the kernel for a type of B.
type panelKernel struct {
	cols, strip int           // columns of a register tile, and of the piece
	run         func(t *tile) // c[j·rows+i] = [c +] sum over k of a[k·rows+i]·B[j,k], added where init is not nil
}

// packPanels packs the rows of A that are done in panels: all of them where B is copied in
// pieces, else all whole panels, and the rest if a kernel of few rows would take longer.
func (g *gemm) packPanels() {
	f, m := g.q.panel, g.c.Rows
	switch {
	case f == nil || g.b.inner != 1 && (g.b.bf16 == nil || !g.inPieces()):
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
	for ; lo < hi; lo += strip {
		p := panelPiece{n: min(strip, hi-lo)}
		for ; p.k0 < g.k; p.k0 += f.slice {
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
	k0, k, n int
	next     unsafe.Pointer // the next piece, whose rows are as far apart
}

// takePiece makes p the piece at its k0 of the rows from lo on, of those before hi.
func (g *gemm) takePiece(l *lane, p *panelPiece, lo, hi int) {
	f, strip := g.q.panel, g.panelStrip()
	p.side, p.k = g.b.at(lo, p.k0), min(f.slice, g.k-p.k0)
	switch {
	case p.q8 != nil:
		buf := grow(&l.wide, strip*f.slice)
		p.widen(buf, f.slice, p.free, p.n, p.k)
		p.side = side{data: buf, free: f.slice, inner: 1}
		p.next = p.pointer()
	case p.k0+f.slice < g.k:
		p.next = g.b.at(lo, p.k0+f.slice).pointer()
	case lo+strip < hi:
		p.next = g.b.at(lo+strip, 0).pointer()
	default:
		p.next = p.pointer()
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
		from := p.at(j, 0)
		t.b, t.bf16, t.cols, t.next = from.data, from.bf16, min(kernel.cols, p.n-j), p.next
		if j+kernel.cols < p.n {
			t.next = p.at(j+kernel.cols, 0).pointer()
		}
		for i := range ceil(g.inPanels, f.rows) {
			t.a, t.c, t.init = g.a.packed[i*g.panel+p.k0*f.rows:], sums[(i*strip+j)*f.rows:], nil
			if p.k0 > 0 {
				t.init = t.c
			}
			kernel.run(t)
		}
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
