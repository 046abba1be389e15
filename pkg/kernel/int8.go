package kernel

import (
	"encoding/binary"
	"math"
)

// Products of whole numbers: B is stored as Q8 and transposed, so that blocks lie along the
// inner index, and the rows of A are rounded to blocks of the same kind on their way in.
// Eight columns of B are turned first, so that a vector holds four values of each: nothing
// has to be added up across a vector, and what is turned serves all rows of A.
// Every sum of a row of C is made in one order, however many rows there are and however
// they are shared out: what a sequence generates does not depend on what runs beside it.

const (
	int8Rows = 4 // rows of A that int8Mul takes at most
	int8Cols = 8 // columns of B that are turned together
	int8Few  = 2 // rows of a product whose B is multiplied as it is stored, by measurement

	// int8Turned is how many bytes of turned columns all rows of A are multiplied by before
	// the next ones: they stay in the second cache.
	int8Turned = 96 << 10
)

// int8Tile is a group of rows of such a product and turned columns.
type int8Tile struct {
	a       []byte    // block k of row i is the Q8Block signed bytes from (k·rows+i)·Q8Block on
	scales  []float32 // and its scale this of k·rows+i
	b       []byte    // see int8TurnPortable
	bScales []float32

	c, init, bias      []float32 // as in tile
	blocks, rows, cols int       // none is 0; kernels of a path write int8Cols columns
	cs, is             int

	stored   []byte    // of int8Row, which takes one row: cols rows of Q8, one after the other
	products []float32 // memory of its own: int8Cols times the blocks, in eights

	part [int8Rows * int8Cols]float32 // sums of fewer columns
}

// int8TurnPortable turns cols rows of Q8 that are stride bytes apart, up to int8Cols of them, for
// int8Mul: of block k, bytes 4f to 4f+3 of column j go to (k·8+f)·32 + 4j, and its scale
// to k·8+j. What lies in the place of further columns is not defined. scales, of all blocks,
// says how many there are.
func int8TurnPortable(to []byte, scales []float32, from []byte, cols, stride int) {
	for k := range len(scales) / int8Cols {
		for j := range cols {
			b := (*[Q8Bytes]byte)(from[j*stride+k*Q8Bytes:])
			scales[k*int8Cols+j] = fromFloat16(binary.LittleEndian.Uint16(b[:]))
			for f := range Q8Block / 4 {
				copy(to[(k*Q8Block/4+f)*4*int8Cols+4*j:][:4], b[2+4*f:])
			}
		}
	}
}

// int8MulPortable is t. The products of a block are added up exactly, the sums, scaled, one
// block after the other.
func int8MulPortable(t *int8Tile) {
	for i := range t.rows {
		var sums [int8Cols]float32
		for k := range t.blocks {
			at := k*t.rows + i
			a, b := (*[Q8Block]byte)(t.a[at*Q8Block:]), (*[Q8Block * int8Cols]byte)(t.b[k*Q8Block*int8Cols:])
			for j, d := range t.bScales[k*int8Cols:][:t.cols] {
				n := int32(0)
				for v, x := range a {
					n += int32(int8(x)) * int32(int8(b[v/4*4*int8Cols+4*j+v%4]))
				}
				sums[j] += float32(float32(n) * float32(d*t.scales[at]))
			}
		}
		t.finish(i, sums[:t.cols])
	}
}

// finish writes row i of C.
func (t *int8Tile) finish(i int, sums []float32) {
	for j, v := range sums {
		if t.init != nil {
			v += t.init[i*t.is+j]
		}
		if t.bias != nil {
			v += t.bias[j]
		}
		t.c[i*t.cs+j] = v
	}
}

// by does t with a kernel that writes int8Cols columns whatever t.cols is.
func (t *int8Tile) by(kernel func(t *int8Tile)) {
	if t.cols == int8Cols {
		kernel(t)
		return
	}
	c, init, bias, cs := t.c, t.init, t.bias, t.cs
	t.c, t.init, t.bias, t.cs = t.part[:], nil, nil, int8Cols
	kernel(t)
	t.c, t.init, t.bias, t.cs = c, init, bias, cs
	for i := range t.rows {
		t.finish(i, t.part[i*int8Cols:][:t.cols])
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
	groups := g.int8Groups()
	if small := m*k <= skinnyChunk; small || g.p.threads == 1 {
		for i := range groups {
			g.int8Pack(i)
		}
	} else {
		int8PackLoop.run(g.p, groups, *g)
	}
	chunks := min(bandsPerWorker*g.p.threads, n*k/skinnyChunk)
	if chunks <= 1 || g.p.threads == 1 {
		g.int8Range(&g.p.lanes[0], 0, n)
		return
	}
	g.group = ceil(ceil(n, int8Cols), chunks) * int8Cols
	int8Loop.run(g.p, ceil(n, g.group), *g)
}

var (
	int8PackLoop = newLoop(func(g *gemm, _, chunk int) { g.int8Pack(chunk) })
	int8Loop     = newLoop(func(g *gemm, worker, chunk int) {
		lo := chunk * g.group
		g.int8Range(&g.p.lanes[worker], lo, min(lo+g.group, g.c.Cols))
	})
)

// int8Stored reports whether the columns of B are multiplied as they are stored.
func (g *gemm) int8Stored() bool { return g.q.int8Row != nil && g.c.Rows <= int8Few }

// int8Groups is how many groups the rows of A are cut in, each as many as a kernel takes.
func (g *gemm) int8Groups() int {
	if g.int8Stored() {
		return g.c.Rows
	}
	return ceil(g.c.Rows, int8Rows)
}

// int8Group is group number i of the rows of A as bytes and scales, and the rows in it.
func (g *gemm) int8Group(i int) (a []byte, scales []float32, lo, hi int) {
	m, k := g.c.Rows, g.k
	lo, hi = span(m, g.int8Groups(), i)
	return asBytes(g.a.packed[:m*k/4])[lo*k : hi*k], g.a.packed[m*k/4:][lo*k/Q8Block : hi*k/Q8Block], lo, hi
}

// int8Pack rounds a group of rows.
func (g *gemm) int8Pack(group int) {
	a, scales, lo, hi := g.int8Group(group)
	for i := range hi - lo {
		g.q.vecOps.toInt8(a[i*Q8Block:], scales[i:], g.a.data[(lo+i)*g.a.free:][:g.k], (hi-lo)*Q8Block, hi-lo)
	}
}

// int8Range does columns lo to hi of C, some turns of them at a time. With no more rows than
// the kernel takes nothing turned is read twice, and one turn stays in the first cache.
func (g *gemm) int8Range(l *lane, lo, hi int) {
	if g.int8Stored() {
		g.int8StoredRange(l, lo, hi)
		return
	}
	t, m, blocks := &l.int8, g.c.Rows, g.k/Q8Block
	stride := blocks * Q8Bytes
	t.blocks, t.cs, t.is = blocks, g.c.Stride, g.c.Stride
	turns, bytes, scales := 1, blocks*Q8Block*int8Cols, blocks*int8Cols
	if m > int8Rows {
		turns = max(1, int8Turned/bytes)
	}
	turned := grow(&l.wide, turns*(bytes/4+scales))
	for ; lo < hi; lo += turns * int8Cols {
		end := min(hi, lo+turns*int8Cols)
		at := func(j int) (b []byte, d []float32) {
			part := turned[(j-lo)/int8Cols*(bytes/4+scales):][:bytes/4+scales]
			return asBytes(part[:bytes/4]), part[bytes/4:]
		}
		for j := lo; j < end; j += int8Cols {
			b, d := at(j)
			g.q.int8Turn(b, d, g.b.q8[j*stride:], min(int8Cols, end-j), stride)
		}
		for i := range g.int8Groups() {
			a, s, first, last := g.int8Group(i)
			t.a, t.scales, t.rows = a, s, last-first
			for j := lo; j < end; j += int8Cols {
				t.b, t.bScales = at(j)
				t.cols = min(int8Cols, end-j)
				g.int8Place(t, first*g.c.Stride+j, j)
				t.by(g.q.int8Mul)
			}
		}
	}
}

// int8Place says where t's sums go, at in C and from column j on, and what is added.
func (g *gemm) int8Place(t *int8Tile, at, j int) {
	t.c, t.init, t.bias = g.c.Data[at:], nil, nil
	if g.init != nil {
		t.init = g.init[at:]
	}
	if g.bias != nil {
		t.bias = g.bias[j:]
	}
}
