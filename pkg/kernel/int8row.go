package kernel

import "encoding/binary"

// A single row waits for memory, and reads B as it is stored: in one stream, which is fetched
// better than the eight of columns that are turned side by side, and while it is multiplied,
// not before. The sums are those of int8Mul.

// int8RowPortable is t for one row and B as it is stored, with the sums of int8MulPortable.
func int8RowPortable(t *int8Tile) {
	var sums [int8Cols]float32
	for j := range t.cols {
		for k := range t.blocks {
			a, b := (*[Q8Block]byte)(t.a[k*Q8Block:]), (*[Q8Bytes]byte)(t.stored[(j*t.blocks+k)*Q8Bytes:])
			n := int32(0)
			for v, x := range a {
				n += int32(int8(x)) * int32(int8(b[2+v]))
			}
			d := fromFloat16(binary.LittleEndian.Uint16(b[:]))
			sums[j] += float32(float32(n) * float32(d*t.scales[k]))
		}
	}
	t.finish(0, sums[:t.cols])
}

// int8StoredRange does columns lo to hi of C for few rows: the further ones find B in a cache.
func (g *gemm) int8StoredRange(l *lane, lo, hi int) {
	t := &l.int8
	t.blocks, t.rows, t.cs, t.is = g.k/Q8Block, 1, g.c.Stride, g.c.Stride
	t.products = grow(&l.wide, int8Cols*ceil(t.blocks, 8)*8)
	for j := lo; j < hi; j += int8Cols {
		t.cols, t.stored = min(int8Cols, hi-j), g.b.q8[j*t.blocks*Q8Bytes:]
		for i := range g.c.Rows {
			t.a, t.scales, _, _ = g.int8Group(i)
			g.int8Place(t, i*g.c.Stride+j, j)
			t.by(g.q.int8Row)
		}
	}
}
