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

// twoRows multiplies two rows of a panel of four by four columns, eight inner values at a
// time, so that the slices are checked and moved on once for all of them. Each value of B
// is used as soon as it is read: two of A and one of B beside eight sums stay in registers.
func twoRows(a, b []float32, k int) [8]float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7, a0, a1 float32
	a, b = a[:4*k], b[:4*k] // a's last two values may be of the gap behind a panel
	for i := 32; i <= len(a) && i <= len(b); i += 32 {
		x, y := (*[32]float32)(a[i-32:i]), (*[32]float32)(b[i-32:i])
		a0, a1 = x[0], x[1]
		s0, s4 = s0+a0*y[0], s4+a1*y[0]
		s1, s5 = s1+a0*y[1], s5+a1*y[1]
		s2, s6 = s2+a0*y[2], s6+a1*y[2]
		s3, s7 = s3+a0*y[3], s7+a1*y[3]
		a0, a1 = x[4], x[5]
		s0, s4 = s0+a0*y[4], s4+a1*y[4]
		s1, s5 = s1+a0*y[5], s5+a1*y[5]
		s2, s6 = s2+a0*y[6], s6+a1*y[6]
		s3, s7 = s3+a0*y[7], s7+a1*y[7]
		a0, a1 = x[8], x[9]
		s0, s4 = s0+a0*y[8], s4+a1*y[8]
		s1, s5 = s1+a0*y[9], s5+a1*y[9]
		s2, s6 = s2+a0*y[10], s6+a1*y[10]
		s3, s7 = s3+a0*y[11], s7+a1*y[11]
		a0, a1 = x[12], x[13]
		s0, s4 = s0+a0*y[12], s4+a1*y[12]
		s1, s5 = s1+a0*y[13], s5+a1*y[13]
		s2, s6 = s2+a0*y[14], s6+a1*y[14]
		s3, s7 = s3+a0*y[15], s7+a1*y[15]
		a0, a1 = x[16], x[17]
		s0, s4 = s0+a0*y[16], s4+a1*y[16]
		s1, s5 = s1+a0*y[17], s5+a1*y[17]
		s2, s6 = s2+a0*y[18], s6+a1*y[18]
		s3, s7 = s3+a0*y[19], s7+a1*y[19]
		a0, a1 = x[20], x[21]
		s0, s4 = s0+a0*y[20], s4+a1*y[20]
		s1, s5 = s1+a0*y[21], s5+a1*y[21]
		s2, s6 = s2+a0*y[22], s6+a1*y[22]
		s3, s7 = s3+a0*y[23], s7+a1*y[23]
		a0, a1 = x[24], x[25]
		s0, s4 = s0+a0*y[24], s4+a1*y[24]
		s1, s5 = s1+a0*y[25], s5+a1*y[25]
		s2, s6 = s2+a0*y[26], s6+a1*y[26]
		s3, s7 = s3+a0*y[27], s7+a1*y[27]
		a0, a1 = x[28], x[29]
		s0, s4 = s0+a0*y[28], s4+a1*y[28]
		s1, s5 = s1+a0*y[29], s5+a1*y[29]
		s2, s6 = s2+a0*y[30], s6+a1*y[30]
		s3, s7 = s3+a0*y[31], s7+a1*y[31]
	}
	for i := k / 8 * 32; i < len(a); i += 4 {
		y := (*[4]float32)(b[i:])
		a0, a1 = a[i], a[i+1]
		s0, s4 = s0+a0*y[0], s4+a1*y[0]
		s1, s5 = s1+a0*y[1], s5+a1*y[1]
		s2, s6 = s2+a0*y[2], s6+a1*y[2]
		s3, s7 = s3+a0*y[3], s7+a1*y[3]
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
