package kernel

// Panels of A serve a B of bfloat16 that is not transposed as well (o and down of a
// transformer). A vector of its columns, widened in registers, is multiplied by one value of A
// at a time, broadcast, so that a register tile is one of C and nothing has to be turned.

// columnKernel is the kernel for a B whose columns are contiguous.
type columnKernel struct {
	rows, cols int           // of a register tile: rows at most, columns always
	deep       int           // inner length at most of the piece of B that all panels read before the next one
	fetch      int           // inner values after which a row of t.next is fetched
	short      int           // values of a row of B at most that is read as it lies
	run        func(t *tile) // c[i·cs+j] = init + bias + sum over k of a[k·panelForm.rows+i]·B[k,j]
}

// columnsRange does columns lo to hi of C, a piece of B at a time: all panels are multiplied by it
// while the next one is fetched. Pieces are copied to where their rows follow each other (see
// inPieces), but for short rows that a single panel reads: those stay in the second cache.
func (g *gemm) columnsRange(l *lane, lo, hi int) {
	h, k, block, f := *g, g.k, g.q.skinnyBlock, g.q.panel.columns
	deep := ceil(ceil(k, ceil(k, f.deep)), f.fetch) * f.fetch
	buf := grow(&l.wide, block*deep)
	for h.k0 = 0; h.k0 < k; h.k0 += deep {
		h.k = min(deep, k-h.k0)
		h.a.side = g.a.at(0, h.k0)
		for h.first = lo; h.first < hi; h.first += block {
			n := min(block, hi-h.first)
			from := g.b.at(h.first, h.k0)
			if h.b.side = from; g.c.Rows > g.q.panel.rows || g.b.inner > f.short {
				h.b.side = from.copied(buf, block, h.k, n)
			}
			next, rows := from, h.k
			switch {
			case h.first+block < hi:
				next = g.b.at(h.first+block, h.k0)
			case h.k0+deep < k:
				next, rows = g.b.at(lo, h.k0+deep), min(deep, k-h.k0-deep)
			}
			h.columnsPiece(l, n, next, rows)
		}
	}
}

// columnsPiece multiplies all panels by the piece of n columns that B is, and fetches rows of next.
func (g *gemm) columnsPiece(l *lane, n int, next side, rows int) {
	f, t := g.q.panel, &l.tile
	kernel, fetched := f.columns, 0
	t.k, t.bs, t.cs, t.is, t.ns = g.k, g.b.inner, g.c.Stride, g.c.Stride, next.inner
	whole := n / kernel.cols * kernel.cols
	for j := 0; j < whole; j += kernel.cols {
		t.bf16 = g.b.bf16[j:]
		for i := 0; i < g.inPanels; i += t.rows {
			p, first := i/f.rows, i%f.rows
			left := min(f.rows-first, g.inPanels-i)
			t.rows = ceil(left, ceil(left, kernel.rows))
			t.a = g.a.packed[p*g.panel+g.k0*f.rows+first:]
			t.next = next.at(0, fetched).pointer()
			fetched = (fetched + g.k/kernel.fetch) % rows
			g.place(t, i, g.first+j)
			kernel.run(t)
		}
	}
	if whole < n {
		g.skinnyColumns(l, g.first+whole, g.first+n)
	}
}
