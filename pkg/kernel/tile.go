package kernel

import "unsafe"

// tile is one register tile of a product: rows x cols of C, computed as
//
//	C = init + bias + sum over k of A[i,k]·B[k,j]
//
// from packed panels, A[i,k] = a[k*mr+i] and B[k,j] = b[k*nr+j], padded with
// zeros to the path's mr and nr. Rows of C and init are cs and is values apart.
type tile struct {
	a, b       []float32
	c          []float32
	init       []float32 // nil means zeros; may be c
	bias       []float32 // nil means zeros
	k          int
	cs, is     int
	rows, cols int

	as, bs int // of a skinny product: rows of A and B are as and bs values apart
	bf16   []uint16
	all    int // columns of all strips of cols that skinnyDot does

	q8   []byte // of rowsQ8: rows of B, bs bytes apart
	sums []float32
	ss   int // rows of sums are ss values apart
	part int // see partGoesOn

	next unsafe.Pointer // of a product of panels: rows of B that come next
	far  unsafe.Pointer // and what is fetched for much later
}

var portablePath = &path{
	name: "portable", mr: 4, nr: 4, kc: 256, cache: 128 << 10,
	tile: tilePortable, pack: packPortable,
	skinnyDot: skinnyDotPortable, skinnyDotMixed: skinnyDotPortable, skinnyDotCols: []int{4},
	skinnyRows: skinnyRowsPortable, skinnyRowsMixed: skinnyRowsPortable, skinnyStrip: []int{skinnyColumns}, skinnyVector: skinnyColumns,
	skinnyMost: 8, skinnyMostMixed: 8, skinnyMostDot: 16, skinnyBlock: skinnyColumns, skinnyBlockDot: 4,
	wideDot: [2]int{4, 1024}, int8Turn: int8TurnPortable, int8Mul: int8MulPortable, int8Row: int8RowPortable, rowsQ8: rowsQ8Portable, rowQ8: rowQ8Portable,
	peak: peakPortable, peakOps: 16,
	vecOps: &portableVecOps,
}

// tilePortable is the 4 x 4 register tile in plain Go. It makes two passes of
// two rows each: eight sums are what the compiler keeps in registers.
func tilePortable(t *tile) {
	for i := 0; i < min(t.rows, 4); i += 2 {
		sums := twoRows(t.a[i:], t.b, t.k)
		for r := i; r < min(i+2, t.rows); r++ {
			for j, v := range sums[4*(r-i):][:t.cols] {
				t.set(r, j, v)
			}
		}
	}
}

// twoRows multiplies two rows of a panel of four by four columns, four inner values at a
// time, so that the slices are checked and moved on once for all of them.
func twoRows(a, b []float32, k int) [8]float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for ; k >= 4; k -= 4 {
		x, y := (*[14]float32)(a), (*[16]float32)(b)
		a0, a1, b0, b1, b2, b3 := x[0], x[1], y[0], y[1], y[2], y[3]
		s0 += a0 * b0
		s1 += a0 * b1
		s2 += a0 * b2
		s3 += a0 * b3
		s4 += a1 * b0
		s5 += a1 * b1
		s6 += a1 * b2
		s7 += a1 * b3
		a0, a1, b0, b1, b2, b3 = x[4], x[5], y[4], y[5], y[6], y[7]
		s0 += a0 * b0
		s1 += a0 * b1
		s2 += a0 * b2
		s3 += a0 * b3
		s4 += a1 * b0
		s5 += a1 * b1
		s6 += a1 * b2
		s7 += a1 * b3
		a0, a1, b0, b1, b2, b3 = x[8], x[9], y[8], y[9], y[10], y[11]
		s0 += a0 * b0
		s1 += a0 * b1
		s2 += a0 * b2
		s3 += a0 * b3
		s4 += a1 * b0
		s5 += a1 * b1
		s6 += a1 * b2
		s7 += a1 * b3
		a0, a1, b0, b1, b2, b3 = x[12], x[13], y[12], y[13], y[14], y[15]
		s0 += a0 * b0
		s1 += a0 * b1
		s2 += a0 * b2
		s3 += a0 * b3
		s4 += a1 * b0
		s5 += a1 * b1
		s6 += a1 * b2
		s7 += a1 * b3
		a, b = a[16:], b[16:] // there is always a gap behind a panel
	}
	for ; k > 0; k-- {
		a0, a1, y := a[0], a[1], (*[4]float32)(b)
		s0 += a0 * y[0]
		s1 += a0 * y[1]
		s2 += a0 * y[2]
		s3 += a0 * y[3]
		s4 += a1 * y[0]
		s5 += a1 * y[1]
		s6 += a1 * y[2]
		s7 += a1 * y[3]
		a, b = a[4:], b[4:]
	}
	return [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
}

// packPortable packs n values of the free index and k inner ones as panels of
// width w that are size values apart:
//
//	dst[i/w*size + kk*w + i%w] = s(i, kk)
//
// What a panel holds beyond n values means nothing: the tiles never store what
// comes of it. Nor do the panelGap values that follow the last group.
func packPortable(dst []float32, s side, n, w, k, size int) {
	for lo := 0; lo < n; lo += w {
		panel, m := dst[lo/w*size:], min(w, n-lo)
		src, i := s.data[lo*s.free:], 0
		for ; i+4 <= m; i += 4 {
			if s.free == 1 {
				for kk := range k {
					*(*[4]float32)(panel[kk*w+i:]) = [4]float32(src[kk*s.inner+i:])
				}
				continue
			}
			r0, r1, r2, r3 := src[i*s.free:][:k], src[(i+1)*s.free:][:k], src[(i+2)*s.free:][:k], src[(i+3)*s.free:][:k]
			for kk, v := range r0 { // the inner index is contiguous
				*(*[4]float32)(panel[kk*w+i:]) = [4]float32{v, r1[kk], r2[kk], r3[kk]}
			}
		}
		for ; i < m; i++ {
			for kk := range k {
				panel[kk*w+i] = src[i*s.free+kk*s.inner]
			}
		}
	}
}
