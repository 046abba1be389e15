package kernel

import "math"

// Thin products have few rows, as when a model generates a token at a time. Each
// value of B serves few sums, so that reading B is what they cost. It is read
// once, in order, as it lies; nothing is packed.

const (
	thinMost    = 8       // rows of C in a product that is thin whatever B is
	thinMostDot = 16      // and with B transposed
	thinChunk   = 1 << 14 // values of B that a worker takes at least
	thinColumns = 256     // columns that thinRowsPortable takes at most
)

// isThin reports whether a product of m rows is to be done as a thin one.
func (g *gemm) isThin(m, k int) bool {
	if k == 0 || g.bf16 && g.b.half == nil {
		return false // the latter would round B again for every row
	}
	return m <= thinMost || m <= thinMostDot && g.b.inner == 1
}

// thin does the product of inner length k, on one worker if it is small.
func (g *gemm) thin(k int) {
	l, n := &g.p.lanes[0], g.c.Cols
	g.k = k
	g.rows(l)
	g.group = g.strip()
	chunks := min(bandsPerWorker*g.p.threads, n*k/thinChunk)
	if chunks <= 1 || g.p.threads == 1 {
		g.thinRange(l, 0, n)
		return
	}
	g.group = ceil(ceil(n, g.group), chunks) * g.group
	thinLoop.run(g.p, ceil(n, g.group), *g)
}

// strip is how many columns are done at a time.
func (g *gemm) strip() int {
	if g.b.q8 != nil && g.b.inner != 1 {
		return 64
	}
	if g.b.inner == 1 {
		return 4
	}
	return g.q.thinStrip[min(g.c.Rows, len(g.q.thinStrip))-1]
}

var thinLoop = newLoop(func(g *gemm, worker, chunk int) {
	lo := chunk * g.group
	g.thinRange(&g.p.lanes[worker], lo, min(lo+g.group, g.c.Cols))
})

// inPairs reports whether A and B are both multiplied as bfloat16. A single row
// is not: it waits for memory in any case, and is read as one stream.
func (g *gemm) inPairs() bool {
	return g.bf16 && g.q.bf16 && g.b.inner == 1 && g.c.Rows > 1
}

// rows makes A's rows contiguous, and bfloat16 if they are to be rounded.
func (g *gemm) rows(l *lane) {
	m, k := g.c.Rows, g.k
	if g.bf16 || g.a.inner != 1 {
		dst := grow(&l.pack, 2*m*k)
		for i := range m {
			row := dst[i*k:][:k]
			if g.a.inner == 1 {
				copy(row, g.a.data[i*g.a.free:])
				continue
			}
			for kk := range row {
				row[kk] = g.a.data[i*g.a.free+kk*g.a.inner]
			}
		}
		g.a.side = side{data: dst, free: k, inner: 1}
	}
	switch {
	case g.inPairs():
		w := ceil(k, 2)
		pairs := g.a.data[m*k:]
		for i := range m {
			ToBF16(asHalves(pairs[i*w:][:w]), g.a.data[i*k:][:k])
		}
		g.a.side = side{data: pairs, free: w, inner: 1}
	case g.bf16:
		current.verbs.round(g.a.data[:m*k])
	}
}

// B of eight bits is widened a piece at a time, which stays in the first cache.
const (
	wideStrip = 256  // columns of a piece of wideRows rows of B at most
	wideRows  = 32   // rows
	wideCols  = 1024 // columns of a piece of four rows, with B transposed
)

// thinWidened is thinRange for B of eight bits.
func (g *gemm) thinWidened(l *lane, lo, hi int) {
	h, k := *g, g.k
	wide, slice := wideStrip, wideRows
	if g.b.inner == 1 {
		wide, slice = 4, wideCols
	}
	buf := grow(&l.wide, wide*slice)
	for j := lo; j < hi; j += wide {
		n := min(wide, hi-j)
		for h.k0 = 0; h.k0 < k; h.k0 += slice {
			h.k = min(slice, k-h.k0)
			from := g.b.at(j, h.k0)
			if g.b.inner == 1 {
				from.widen(buf, slice, from.free, n, h.k)
				h.b.side = side{data: buf, free: slice, inner: 1}
			} else {
				from.widen(buf, wide, from.inner, h.k, n)
				h.b.side = side{data: buf, free: 1, inner: wide}
			}
			h.first = j
			h.a.side = g.a.at(0, h.k0)
			h.thinRange(l, j, j+n)
		}
	}
}

// thinRange does columns lo to hi of C.
func (g *gemm) thinRange(l *lane, lo, hi int) {
	if g.b.q8 != nil {
		g.thinWidened(l, lo, hi)
		return
	}
	t, q, m := &l.tile, g.q, g.c.Rows
	t.k, t.cs, t.is, t.as = g.k, g.c.Stride, g.c.Stride, g.a.free
	dot, most, kernel := g.b.inner == 1, q.thinDotRows, q.thinDot
	switch {
	case g.inPairs():
		kernel = q.thinDotBF16
	case dot && g.b.half != nil:
		kernel = q.thinDotHalves
	case !dot && g.b.half != nil:
		most, kernel = len(q.thinStrip), q.thinRowsHalves
	case !dot:
		most, kernel = len(q.thinStrip), q.thinRows
	}
	for strip := g.strip(); lo < hi; lo += strip {
		end := min(lo+strip, hi)
		for i := 0; i < m; i += t.rows {
			t.rows = min(most, m-i)
			for j := lo; j < end; j += t.cols {
				t.cols = end - j
				switch {
				case dot && t.cols == 4:
					t.bs = g.b.free
				case dot: // one row of B at a time, as if it were four
					t.cols, t.bs = 1, 0
				default:
					t.bs = g.b.inner
					if own := q.thinStrip[t.rows-1]; t.cols != own {
						t.cols = min(t.cols, q.thinVector)
					}
				}
				g.place(t, i, j)
				b := g.b.at(j-g.first, 0)
				t.b, t.half = b.data, b.half // both: the tile may be left from a product of the other type
				t.a = g.a.data[i*g.a.free:]
				kernel(t)
			}
		}
	}
}

// thinDotPortable is t for B's rows bs values apart: B[k,j] = b[j*bs+k].
func thinDotPortable(t *tile) {
	for i := range t.rows {
		a := t.a[i*t.as:][:t.k]
		for j := range t.cols {
			var s float32
			if t.half != nil {
				for k, v := range t.half[j*t.bs:][:t.k] {
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

// thinRowsPortable is t for B's rows bs values apart: B[k,j] = b[k*bs+j].
func thinRowsPortable(t *tile) {
	var sums [thinColumns]float32
	for i := range t.rows {
		s := sums[:t.cols]
		clear(s)
		for k, v := range t.a[i*t.as:][:t.k] {
			if t.half != nil {
				for j, b := range t.half[k*t.bs:][:t.cols] {
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
