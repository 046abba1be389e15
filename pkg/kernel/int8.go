package kernel

import (
	"encoding/binary"
	"math"
)

// Products of whole numbers: B is stored as Q8 and transposed, so that blocks lie along the
// inner index, and the rows of A are rounded to blocks of the same kind on their way in.
// Every sum of a row of C is made in one order, however many rows there are and however
// they are shared out: what a sequence generates does not depend on what runs beside it.

// int8Rows is how many rows of A int8Dot takes at most.
const int8Rows = 8

// int8Strip is how many bytes of B are multiplied by all rows of A before the next ones:
// they stay in the first cache.
const int8Strip = 16 << 10

// int8Tile is a group of rows of such a product and some columns.
type int8Tile struct {
	a      []byte    // block k of row i is the Q8Block signed bytes from (k·rows+i)·Q8Block on
	scales []float32 // and its scale this of k·rows+i
	b      []byte    // rows of Q8, bs bytes apart, one for a column

	c, init, bias      []float32 // as in tile
	blocks, rows, cols int       // none is 0
	cs, is, bs         int
}

// int8DotPortable is t. The products of a block are added up in fours, exactly; the eight
// sums, scaled, are added to eight float32, and these to each other at the end.
func int8DotPortable(t *int8Tile) {
	for j := range t.cols {
		for i := range t.rows {
			var sums [8]float32
			for k := range t.blocks {
				at := k*t.rows + i
				a, b := (*[Q8Block]byte)(t.a[at*Q8Block:]), (*[Q8Bytes]byte)(t.b[j*t.bs+k*Q8Bytes:])
				scale := fromFloat16(binary.LittleEndian.Uint16(b[:])) * t.scales[at]
				for l := range sums {
					n := int32(0)
					for i := 4 * l; i < 4*l+4; i++ {
						n += int32(int8(a[i])) * int32(int8(b[2+i]))
					}
					sums[l] += float32(float32(n) * scale)
				}
			}
			for _, n := range []int{4, 2, 1} {
				for l := range n {
					sums[l] += sums[l+n]
				}
			}
			v := sums[0]
			if t.init != nil {
				v += t.init[i*t.is+j]
			}
			if t.bias != nil {
				v += t.bias[j]
			}
			t.c[i*t.cs+j] = v
		}
	}
}

// The magnitudes, as bits of a float32, that a block of signed bytes does not have: what
// is not finite, and 2⁻¹⁰⁰, below which there is nothing but 0.
const int8TooLarge, int8TooSmall = 0x7f800000, 0x0d800000

// toInt8Portable rounds x, whole blocks: block k to the Q8Block signed bytes from q[k·qs] on
// and the scale scales[k·ss], its largest magnitude over 127; halves go to the even number.
// A block with a value that is not finite becomes one whose scale is NaN.
func toInt8Portable(q []byte, scales, x []float32, qs, ss int) {
	for k := range len(x) / Q8Block {
		from, to := x[k*Q8Block:][:Q8Block], q[k*qs:][:Q8Block]
		top := uint32(0)
		for _, v := range from {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		largest := math.Float32frombits(top)
		switch {
		case top >= int8TooLarge:
			scales[k*ss] = float32(math.NaN())
			clear(to)
		case top < int8TooSmall:
			scales[k*ss] = 0
			clear(to)
		default:
			scales[k*ss] = largest / 127
			inv := 127 / largest
			for i, v := range from {
				to[i] = byte(int8(math.RoundToEven(float64(float32(v * inv)))))
			}
		}
	}
}

// int8 does the product of inner length k. The rows of A are cut in groups of equal size.
func (g *gemm) int8(k int) {
	m, n := g.c.Rows, g.c.Cols
	g.k = k
	g.a.packed = grow(&g.p.pack, m*k/4+m*k/Q8Block) // the bytes of all groups, then their scales
	groups := ceil(m, int8Rows)
	if small := m*k <= skinnyChunk; small || g.p.threads == 1 {
		for i := range groups {
			g.int8Pack(i)
		}
	} else {
		int8PackLoop.run(g.p, groups, *g)
	}
	chunks := min(bandsPerWorker*g.p.threads, n*k/skinnyChunk)
	if chunks <= 1 || g.p.threads == 1 {
		g.int8Range(&g.p.lanes[0].int8, 0, n)
		return
	}
	g.group = ceil(n, chunks)
	int8Loop.run(g.p, ceil(n, g.group), *g)
}

var (
	int8PackLoop = newLoop(func(g *gemm, _, chunk int) { g.int8Pack(chunk) })
	int8Loop     = newLoop(func(g *gemm, worker, chunk int) {
		lo := chunk * g.group
		g.int8Range(&g.p.lanes[worker].int8, lo, min(lo+g.group, g.c.Cols))
	})
)

// int8Group is group number i of the rows of A as bytes and scales, and the rows in it.
func (g *gemm) int8Group(i int) (a []byte, scales []float32, lo, hi int) {
	m, k := g.c.Rows, g.k
	lo, hi = span(m, ceil(m, int8Rows), i)
	return asBytes(g.a.packed[:m*k/4])[lo*k : hi*k], g.a.packed[m*k/4:][lo*k/Q8Block : hi*k/Q8Block], lo, hi
}

// int8Pack rounds a group of rows.
func (g *gemm) int8Pack(group int) {
	a, scales, lo, hi := g.int8Group(group)
	for i := range hi - lo {
		g.q.vecOps.toInt8(a[i*Q8Block:], scales[i:], g.a.data[(lo+i)*g.a.free:][:g.k], (hi-lo)*Q8Block, hi-lo)
	}
}

// int8Range does columns lo to hi of C.
func (g *gemm) int8Range(t *int8Tile, lo, hi int) {
	t.bs = g.k / Q8Block * Q8Bytes
	t.blocks, t.cs, t.is = g.k/Q8Block, g.c.Stride, g.c.Stride
	strip := max(1, int8Strip/t.bs)
	for ; lo < hi; lo += strip {
		t.cols, t.b = min(strip, hi-lo), g.b.q8[lo*t.bs:]
		for i := range ceil(g.c.Rows, int8Rows) {
			a, scales, first, last := g.int8Group(i)
			t.a, t.scales, t.rows = a, scales, last-first
			at := first*g.c.Stride + lo
			t.c, t.init, t.bias = g.c.Data[at:], nil, nil
			if g.init != nil {
				t.init = g.init[at:]
			}
			if g.bias != nil {
				t.bias = g.bias[lo:]
			}
			g.q.int8Dot(t)
		}
	}
}
