package kernel

import "encoding/binary"

// A product of few rows by a B of Q8 that is not transposed waits for memory, and columns shared
// out among workers would be short pieces of every row of B. Here slices of the inner length
// are summed up by themselves, as those of a register tile are: a worker reads whole stretches
// of B, some rows side by side, and sums of many columns wait in the first cache.

const (
	rowQ8Few  = 4    // rows of such a product, by measurement
	rowQ8Rows = 32   // rows of B that all rows of A are multiplied by before the next ones
	rowQ8Most = 1024 // columns of a stretch
)

// rowQ8Portable adds to the first t.cols of t.sums, whole blocks, the products of t.k values of A
// and rows of B, which are bs bytes apart, one row after the other.
func rowQ8Portable(t *tile) {
	for k, x := range t.a[:t.k] {
		for j := range t.cols / Q8Block {
			b, sums := (*[Q8Bytes]byte)(t.q8[k*t.bs+j*Q8Bytes:]), t.sums[j*Q8Block:][:Q8Block]
			scale := fromFloat16(binary.LittleEndian.Uint16(b[:]))
			for i, q := range b[2:] {
				sums[i] += x * float32(scale*float32(int8(q)))
			}
		}
	}
}

// rowQ8 does the product of inner length k.
func (g *gemm) rowQ8(k int) {
	g.k = k
	g.rows(&g.p.lanes[0])
	m, n, slices := g.c.Rows, g.c.Cols, ceil(k, g.slice(k))
	chunks := min(g.p.threads, max(1, n*k/skinnyChunk))
	g.cut = max(ceil(chunks, slices), ceil(n, rowQ8Most)) // parts of a slice
	g.group = ceil(n/Q8Block, g.cut) * Q8Block
	g.cut = ceil(n, g.group)
	g.a.packed = grow(&g.p.pack, slices*m*n)
	if chunks == 1 {
		for i := range slices * g.cut {
			g.rowQ8Part(&g.p.lanes[0], i)
		}
	} else {
		rowQ8Loop.run(g.p, slices*g.cut, *g)
	}
	for i := range m {
		c, from := g.c.Data[i*g.c.Stride:][:n], g.a.packed[i*n:]
		if g.init != nil {
			current.vecOps.add(c, from[:n], g.init[i*g.c.Stride:][:n])
		} else {
			copy(c, from)
		}
		if g.bias != nil {
			current.vecOps.add(c, c, g.bias)
		}
		for s := 1; s < slices; s++ {
			current.vecOps.add(c, c, from[s*m*n:][:n])
		}
	}
}

var rowQ8Loop = newLoop(func(g *gemm, worker, chunk int) { g.rowQ8Part(&g.p.lanes[worker], chunk) })

// rowQ8Part makes the sums of a part of the columns over a slice of the inner length, of all rows
// of A.
func (g *gemm) rowQ8Part(l *lane, chunk int) {
	t, m, n, slice := &l.tile, g.c.Rows, g.c.Cols, g.slice(g.k)
	lo, first := chunk%g.cut*g.group, chunk/g.cut*slice
	t.cols, t.bs = min(g.group, n-lo), g.b.inner/Q8Block*Q8Bytes
	sums := g.a.packed[chunk/g.cut*m*n+lo:]
	for i := range m {
		clear(sums[i*n:][:t.cols])
	}
	end := min(first+slice, g.k)
	for k := first; k < end; k += rowQ8Rows {
		t.k, t.q8 = min(rowQ8Rows, end-k), g.b.q8[k*t.bs+lo/Q8Block*Q8Bytes:]
		for i := range m {
			t.a, t.sums = g.a.data[i*g.a.free+k:], sums[i*n:]
			g.q.rowQ8(t)
		}
	}
}
