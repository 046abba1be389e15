package kernel

import "unsafe"

// Panels of A serve a B of bfloat16 that is not transposed as well (o and down of a
// transformer). A vector of its columns, widened in registers, is multiplied by one value of A
// at a time, broadcast, so that a register tile is one of C and nothing has to be turned.

// columnKernel is the kernel for a B whose columns are contiguous.
type columnKernel struct {
	cols int // of a tile
	deep int // inner length at most of a tile, so that it and a panel fit the first cache
	// run is c[i·cs+j] = init + bias + sum over k of a[k·panelForm.rows+i]·B[k,j]. It leaves B widened in
	// sums, and takes it from there where bf16 is nil.
	run func(t *tile)
}

// columnsRange does columns lo to hi of C, a tile of B at a time, by which all panels are multiplied.
// The rows of B are often a power of two apart and meet in few sets of a cache, where they are read just once:
// the first rows of C widen them. What comes later is fetched meanwhile.
func (g *gemm) columnsRange(l *lane, lo, hi int) {
	h, f := *g, g.q.panel.columns
	p := columnTiles{side: g.b.side, lo: lo, hi: hi - (hi-lo)%f.cols, cols: f.cols, n: g.c.Cols, k: g.k}
	p.deep = min(p.k, ceil(ceil(p.k, ceil(p.k, f.deep)), 16)*16)
	wide := grow(&l.wide, p.deep*p.cols)
	for h.k0 = 0; h.k0 < p.k; h.k0 += p.deep {
		h.k = min(p.deep, p.k-h.k0)
		for j := p.lo; j < p.hi; j += p.cols {
			h.columnsTile(l, &p, j, wide)
		}
		if p.hi < hi {
			h.first, h.a.side, h.b.side = p.hi, g.a.at(0, h.k0), g.b.at(p.hi, h.k0)
			h.skinnyColumns(l, p.hi, hi)
		}
	}
}

// columnTiles is the tiles that columns lo to hi of B are cut in: the first rows of all of them come before the
// next rows.
type columnTiles struct {
	side
	lo, hi, cols int // columns, and those of a tile
	deep, k      int // rows of a tile, but of the last ones, and of B
	n            int // columns of B
}

// A tile's share of the columns that are fetched for later: the next so many, in the time of so many tiles.
const laterCols, laterTiles = 64, 4

// laterColumns is what to fetch beside the tile at column j and row k0, a part of the rows of the next columns: on the
// right, or below, or at last those that this worker does next.
func (g *gemm) laterColumns(l *lane, p *columnTiles, j int) unsafe.Pointer {
	k0 := g.k0
	i := (j - p.lo) / p.cols
	col := p.lo + (i/laterTiles+1)*laterCols
	if col >= p.hi {
		if col, k0 = p.lo, k0+p.deep; k0 >= p.k {
			col, k0 = g.nextChunk(l), 0
		}
	}
	if k0 += i % laterTiles * p.deep / laterTiles; k0 >= p.k || col >= p.n {
		return p.side.pointer()
	}
	return unsafe.Pointer(&p.bf16[col+k0*p.inner])
}

// columnsTile multiplies all panels by the tile of B at column j.
func (g *gemm) columnsTile(l *lane, p *columnTiles, j int, wide []float32) {
	t := &l.tile
	f := g.q.panel
	t.k, t.bf16, t.bs, t.sums = g.k, p.bf16[j+g.k0*p.inner:], p.inner, wide
	t.cs, t.is, t.cols, t.next = g.c.Stride, g.c.Stride, p.cols, g.laterColumns(l, p, j)
	for row := 0; row < g.inPanels; row += f.rows {
		t.rows = min(f.rows, g.inPanels-row)
		t.a = g.a.packed[row/f.rows*g.panel+g.k0*f.rows:]
		g.place(t, row, j)
		f.columns.run(t)
		t.bf16 = nil
	}
}
