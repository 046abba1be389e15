package kernel

// A product of some tens of rows, as when a model continues many texts at once, is a
// skinny one too: B is read once, as it lies. Here A is packed in panels of rows instead,
// so that a value of B, broadcast, serves a vector of A's rows and nothing has to be added
// up across a vector. The sums are those of C transposed.

// panelForm is how a path multiplies by a B whose inner index is contiguous.
type panelForm struct {
	rows      int // of A in a panel
	least     int // rows of A that are worth a panel
	most      int // rows of a product at most
	slice     int // inner length of the piece of B that all panels read before the next one
	f32, bf16 panelKernel
	wide      int // columns of a piece of a B of eight bits, which is widened to float32
	// turn transposes n = 8 rows of k values, stride bytes apart, to k rows that are w values
	// apart.
	turn func(dst, src *float32, stride, n, w, k int)
}

// panelKernel is the kernel for a type of B.
type panelKernel struct {
	cols, strip int           // columns of a register tile, and of the piece
	run         func(t *tile) // c[j·rows+i] = [c +] sum over k of a[k·rows+i]·B[j,k], added where init is not nil
}

// packPanels packs the rows of A that are done in panels: all whole ones, and the rest
// if a kernel of few rows would take longer.
func (g *gemm) packPanels() {
	f, m := g.q.panel, g.c.Rows
	if f == nil || g.b.inner != 1 {
		return
	}
	g.inPanels = m / f.rows * f.rows
	if m-g.inPanels >= f.least {
		g.inPanels = m
	}
	size := panelSize(f.rows, g.k)
	g.a.packed = grow(&g.p.pack, ceil(g.inPanels, f.rows)*size)
	if g.inPanels > 0 {
		g.q.pack(g.a.packed, g.a.side, g.inPanels, f.rows, g.k, size)
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
		n := min(strip, hi-lo)
		for k0 := 0; k0 < g.k; k0 += f.slice {
			k := min(f.slice, g.k-k0)
			b := g.b.at(lo, k0)
			if b.q8 != nil {
				buf := grow(&l.wide, strip*f.slice)
				b.widen(buf, f.slice, b.free, n, k)
				b = side{data: buf, free: f.slice, inner: 1}
			}
			g.panelTiles(&l.tile, sums, b, k0, k, n)
			if rest.c.Rows > 0 {
				rest.k0, rest.k, rest.first, rest.b.side = k0, k, lo, b
				rest.a.side = g.a.at(g.inPanels, k0)
				rest.skinnyColumns(l, lo, lo+n)
			}
		}
		g.panelOut(sums, lo, n)
	}
}

// panelTiles multiplies all panels by n rows of b, k values from k0 on, and adds to sums,
// where panel p's column j begins at (p·strip + j)·rows.
func (g *gemm) panelTiles(t *tile, sums []float32, b side, k0, k, n int) {
	f, strip, size := g.q.panel, g.panelStrip(), panelSize(g.q.panel.rows, g.k)
	kernel := f.f32
	if b.bf16 != nil {
		kernel = f.bf16
	}
	t.k, t.bs = k, b.free
	for j := 0; j < n; j += kernel.cols {
		from := b.at(j, 0)
		t.b, t.bf16, t.cols = from.data, from.bf16, min(kernel.cols, n-j)
		for p := range ceil(g.inPanels, f.rows) {
			t.a, t.c, t.init = g.a.packed[p*size+k0*f.rows:], sums[(p*strip+j)*f.rows:], nil
			if k0 > 0 {
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
