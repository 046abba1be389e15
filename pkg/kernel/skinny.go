package kernel

import "math"

// Skinny products have few rows, as when a model generates a token at a time. Each
// value of B serves few sums, so that reading B is what they cost. It is read
// once, in order, as it lies; nothing is packed.

const (
	skinnyChunk   = 1 << 14 // values of B that a worker takes at least
	skinnyPart    = 1 << 18 // and where B is larger, at most: the last ones of a head would keep the others waiting
	skinnyColumns = 256     // columns that skinnyRowsPortable takes at most
	pieceColumns  = 128     // columns at least that a worker copies pieces of: it reads rows of so many values
)

// isSkinny reports whether a product of m rows is to be done as a skinny one.
func (g *gemm) isSkinny(m, k int) bool {
	if k == 0 || g.bf16 && g.b.bf16 == nil {
		return false // the latter would round B again for every row
	}
	if f := g.q.panel; f != nil && g.b.inner == 1 && m <= f.most {
		return true
	}
	return m <= g.q.skinnyMost || g.b.bf16 != nil && m <= g.q.skinnyMostMixed || m <= g.q.skinnyMostDot && g.b.inner == 1
}

// skinny does the product of inner length k, on one worker if it is small.
func (g *gemm) skinny(k int) {
	l, n := &g.p.lanes[0], g.c.Cols
	g.k = k
	g.rows(l)
	g.cutPanels()
	g.group = g.strip()
	chunks := min(max(bandsPerWorker*g.p.threads, n*k/skinnyPart), n*k/skinnyChunk)
	if g.inPieces() {
		chunks = min(chunks, n/pieceColumns)
	}
	if chunks <= 1 || g.p.threads == 1 {
		g.skinnyRange(l, 0, n)
		return
	}
	g.group = ceil(ceil(n, g.group), chunks) * g.group
	g.inChunks = true
	skinnyLoop.run(g.p, ceil(n, g.group), *g)
}

// strip is how many columns are done at a time: with more rows than a kernel takes,
// those whose part of B stays in a cache from one group of rows to the next.
func (g *gemm) strip() int {
	dot, groups := g.b.inner == 1, g.groups()
	switch {
	case g.inPanels > 0 && dot:
		return g.panelStrip()
	case g.b.q8 != nil && dot:
		return g.q.wideDot[0]
	case g.b.q8 != nil:
		return 2 * Q8Block
	case dot:
		return g.q.skinnyBlockDot
	case groups > 1 || g.inPieces():
		return g.q.skinnyBlock
	}
	return g.q.skinnyStrip[g.c.Rows-1]
}

// groups is how many groups the rows of A are cut in, each as many as a kernel takes.
func (g *gemm) groups() int {
	if g.b.inner == 1 {
		return ceil(g.c.Rows, len(g.q.skinnyDotCols))
	}
	return ceil(g.c.Rows, len(g.q.skinnyStrip))
}

var skinnyLoop = newLoop(func(g *gemm, worker, chunk int) {
	lo := chunk * g.group
	g.skinnyRange(&g.p.lanes[worker], lo, min(lo+g.group, g.c.Cols))
})

// inPairs reports whether A and B are both multiplied as bfloat16. A single row
// is not: it waits for memory in any case, and is read as one stream.
func (g *gemm) inPairs() bool {
	return g.bf16 && g.q.bf16 && g.b.inner == 1 && g.c.Rows > 1
}

// rows makes A's rows contiguous, and bfloat16 if they are to be rounded.
func (g *gemm) rows(l *lane) {
	m, k := g.c.Rows, g.k
	if g.bf16 || g.a.inner != 1 || g.a.bf16 != nil {
		dst := grow(&l.pack, 2*m*k)
		for i := range m {
			g.a.row(dst[i*k:][:k], i)
		}
		g.a.side = side{data: dst, free: k, inner: 1}
	}
	switch {
	case g.inPairs():
		w := ceil(k, 2)
		pairs := g.a.data[m*k:]
		for i := range m {
			ToBF16(asBF16(pairs[i*w:][:w]), g.a.data[i*k:][:k])
		}
		g.a.side = side{data: pairs, free: w, inner: 1}
	case g.bf16:
		current.vecOps.round(g.a.data[:m*k])
	}
}

// skinnyWidened is skinnyRange for transposed B of eight bits, which is widened a piece at a
// time that stays in the first cache.
func (g *gemm) skinnyWidened(l *lane, lo, hi int) {
	h, k := *g, g.k
	wide, slice := g.q.wideDot[0], g.q.wideDot[1]
	buf := grow(&l.wide, wide*slice)
	for j := lo; j < hi; j += wide {
		n := min(wide, hi-j)
		for h.k0 = 0; h.k0 < k; h.k0 += slice {
			h.k = min(slice, k-h.k0)
			from := g.b.at(j, h.k0)
			from.widen(buf, slice, from.free, n, h.k)
			h.b.side = side{data: buf, free: slice, inner: 1}
			h.first = j
			h.a.side = g.a.at(0, h.k0)
			h.skinnyColumns(l, j, j+n)
		}
	}
}

// skinnyRange does columns lo to hi of C. Where rows come in several groups, the inner
// length is cut in slices, so that what the groups read again is in the first cache.
func (g *gemm) skinnyRange(l *lane, lo, hi int) {
	switch dot := g.b.inner == 1; {
	case g.inPanels > 0:
		h := *g // which all workers share
		h.packPanels(l)
		if dot {
			h.panelRange(l, lo, hi)
		} else {
			h.columnsRange(l, lo, hi)
		}
		return
	case g.b.q8 != nil && dot:
		g.skinnyWidened(l, lo, hi)
		return
	case g.b.q8 != nil:
		g.rowsQ8(l, lo, hi)
		return
	case g.inPieces():
		g.skinnyPieces(l, lo, hi)
		return
	}
	slice := g.q.skinnySliceDot
	if g.b.inner != 1 || slice == 0 || g.groups() == 1 || g.k <= slice || g.inPairs() {
		g.skinnyColumns(l, lo, hi)
		return
	}
	h, k, block := *g, g.k, g.strip()
	slice = ceil(ceil(k, ceil(k, slice)), 16) * 16
	for ; lo < hi; lo += block {
		for h.k0 = 0; h.k0 < k; h.k0 += slice {
			h.k = min(slice, k-h.k0)
			h.a.side, h.b.side, h.first = g.a.at(0, h.k0), g.b.at(lo, h.k0), lo
			h.skinnyColumns(l, lo, min(lo+block, hi))
		}
	}
}

// inPieces reports whether B, not transposed, is copied a piece at a time to where its rows
// follow each other. As they lie they are often a power of two bytes apart and meet in few
// sets of a cache, which then keeps nothing for the next group of rows, or of columns of
// the same line.
func (g *gemm) inPieces() bool {
	size, strips := 4, g.q.skinnyStrip
	if g.b.bf16 != nil {
		size = 2
	}
	return g.b.inner != 1 && g.b.q8 == nil && g.q.skinnyPiece > 0 && (g.groups() > 1 || size*strips[g.c.Rows-1] < 64)
}

// floatSlice is the inner length at most of a piece of float32. Sums are made slice by slice: another
// one would change the last bits of every run.
const floatSlice = 256

// pieceSlice is the inner length of a piece of B.
func (g *gemm) pieceSlice() int {
	if g.b.bf16 == nil {
		return ceil(ceil(g.k, ceil(g.k, floatSlice)), 16) * 16
	}
	return ceil(g.k, ceil(g.k, g.q.skinnyPiece/(2*g.q.skinnyBlock)))
}

// skinnyPieces is skinnyRange in pieces of B, side by side before the next ones below: what
// a processor fetches beyond the end of a piece's rows is the next piece.
func (g *gemm) skinnyPieces(l *lane, lo, hi int) {
	h, k, slice, block := *g, g.k, g.pieceSlice(), g.q.skinnyBlock
	buf := grow(&l.wide, block*slice)
	for h.k0 = 0; h.k0 < k; h.k0 += slice {
		h.k = min(slice, k-h.k0)
		h.a.side = g.a.at(0, h.k0)
		for h.first = lo; h.first < hi; h.first += block {
			n := min(block, hi-h.first)
			from := g.b.at(h.first, h.k0)
			h.b.side = from.copied(buf, block, h.k, n)
			h.skinnyColumns(l, h.first, h.first+n)
		}
	}
}

// skinnyColumns does columns lo to hi of C for the slice at hand.
func (g *gemm) skinnyColumns(l *lane, lo, hi int) {
	t, m := &l.tile, g.c.Rows
	t.k, t.cs, t.is, t.as = g.k, g.c.Stride, g.c.Stride, g.a.free
	groups, kernel := g.groups(), g.skinnyKernel()
	for block := g.strip(); lo < hi; lo += block {
		end := min(lo+block, hi)
		for n, i := groups, 0; n > 0; n-- {
			t.rows = ceil(m-i, n)
			for j := lo; j < end; j += t.all {
				t.cols, t.bs, t.all = g.skinnyCols(t.rows, end-j)
				g.place(t, i, j)
				b := g.b.at(j-g.first, 0)
				t.b, t.bf16 = b.data, b.bf16 // both: the tile may be left from a product of the other type
				t.a = g.a.data[i*g.a.free:]
				kernel(t)
			}
			i += t.rows
		}
	}
}

// skinnyCols is how many of n columns the kernel of some rows takes at a time, how far
// apart the rows of B are that it reads, and how many columns it does in all.
func (g *gemm) skinnyCols(rows, n int) (cols, stride, all int) {
	if g.b.inner == 1 {
		if own := g.q.skinnyDotCols[rows-1]; n >= own {
			return own, g.b.free, n / own * own
		}
		return 1, 0, 1 // one row of B at a time, as if it were several
	}
	if own := g.q.skinnyStrip[rows-1]; n >= own {
		return own, g.b.inner, own
	}
	n = min(n, g.q.skinnyVector)
	return n, g.b.inner, n
}

// skinnyKernel is the kernel for B as it is stored and lies.
func (g *gemm) skinnyKernel() func(t *tile) {
	switch dot := g.b.inner == 1; {
	case g.inPairs():
		return g.q.skinnyDotBF16
	case dot && g.b.bf16 != nil:
		return g.q.skinnyDotMixed
	case dot:
		return g.q.skinnyDot
	case g.b.bf16 != nil:
		return g.q.skinnyRowsMixed
	}
	return g.q.skinnyRows
}

// skinnyDotPortable is t for B's rows bs values apart: B[k,j] = b[j*bs+k].
func skinnyDotPortable(t *tile) {
	for i := range t.rows {
		a := t.a[i*t.as:][:t.k]
		for j := range t.all {
			var s float32
			if t.bf16 != nil {
				for k, v := range t.bf16[j*t.bs:][:t.k] {
					s += a[k] * math.Float32frombits(uint32(v)<<16)
				}
			} else {
				for k, v := range t.b[j*t.bs:][:t.k] {
					s += a[k] * v
				}
			}
			t.set(i, j, s)
		}
	}
}

// skinnyRowsPortable is t for B's rows bs values apart: B[k,j] = b[k*bs+j].
func skinnyRowsPortable(t *tile) {
	var sums [skinnyColumns]float32
	for i := range t.rows {
		s := sums[:t.cols]
		clear(s)
		for k, v := range t.a[i*t.as:][:t.k] {
			if t.bf16 != nil {
				for j, b := range t.bf16[k*t.bs:][:t.cols] {
					s[j] += v * math.Float32frombits(uint32(b)<<16)
				}
			} else {
				for j, b := range t.b[k*t.bs:][:t.cols] {
					s[j] += v * b
				}
			}
		}
		for j, v := range s {
			t.set(i, j, v)
		}
	}
}

// set stores the sum v at (i, j), plus what is to be added.
func (t *tile) set(i, j int, v float32) {
	if t.init != nil {
		v += t.init[i*t.is+j]
	}
	if t.bias != nil {
		v += t.bias[j]
	}
	t.c[i*t.cs+j] = v
}
