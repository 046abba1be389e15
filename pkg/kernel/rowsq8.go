package kernel

import "encoding/binary"

// Products of few rows by a B of Q8 that is not transposed: its blocks lie along the columns
// of C, each value with a scale of its own inner index, so that whole numbers cannot be
// added up. Values are widened in registers and multiplied as float32. Every sum is made in
// the order of a register tile, so that a row has the same bits beside few others and many.

const (
	rowsQ8Most  = 6  // rows of A that the kernel takes
	rowsQ8Slice = 32 // rows of B that are read side by side: as many streams as a processor follows
)

// The bits of tile.part: sums go on from where they were left, and are left there again.
const partGoesOn, partIsLeft = 1, 2

// rowsQ8 does columns lo to hi of C, whole blocks.
func (g *gemm) rowsQ8(l *lane, lo, hi int) {
	t, h, m, k := &l.tile, *g, g.c.Rows, g.k
	t.cs, t.is, t.as, t.bs, t.ss = g.c.Stride, g.c.Stride, g.a.free, g.b.inner/Q8Block*Q8Bytes, hi-lo
	sums, whole := grow(&l.wide, m*t.ss), g.slice(k)
	for ; h.k0 < k; h.k0 += whole {
		end := min(h.k0+whole, k)
		for at := h.k0; at < end; at += rowsQ8Slice {
			t.k, t.part = min(rowsQ8Slice, end-at), 0
			if at > h.k0 {
				t.part = partGoesOn
			}
			if at+t.k < end {
				t.part |= partIsLeft
			}
			for j := lo; j < hi; j += Q8Block {
				t.q8 = g.b.q8[at*t.bs+j/Q8Block*Q8Bytes:]
				for i, left := 0, ceil(m, rowsQ8Most); left > 0; left-- {
					t.rows = ceil(m-i, left)
					h.place(t, i, j)
					t.a, t.sums = g.a.data[i*g.a.free+at:], sums[i*t.ss+j-lo:]
					g.q.rowsQ8(t)
					i += t.rows
				}
			}
		}
	}
}

// rowsQ8Portable is t for a block of columns of Q8, rows of B being bs bytes apart.
func rowsQ8Portable(t *tile) {
	for i := range t.rows {
		var sums [Q8Block]float32
		if t.part&partGoesOn > 0 {
			copy(sums[:], t.sums[i*t.ss:])
		}
		for k, x := range t.a[i*t.as:][:t.k] {
			b := (*[Q8Bytes]byte)(t.q8[k*t.bs:])
			scale := fromFloat16(binary.LittleEndian.Uint16(b[:]))
			for j, q := range b[2:] {
				sums[j] += x * float32(scale*float32(int8(q)))
			}
		}
		if t.part&partIsLeft > 0 {
			copy(t.sums[i*t.ss:], sums[:])
			continue
		}
		for j, v := range sums {
			t.set(i, j, v)
		}
	}
}
