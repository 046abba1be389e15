package kernel

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
}

var portablePath = &path{
	name: "portable", mr: 4, nr: 4, kc: 256, cache: 128 << 10,
	tile: tilePortable, pack: packPortable,
	skinnyDot: skinnyDotPortable, skinnyDotMixed: skinnyDotPortable, skinnyDotCols: []int{4},
	skinnyRows: skinnyRowsPortable, skinnyRowsMixed: skinnyRowsPortable, skinnyStrip: []int{skinnyColumns}, skinnyVector: skinnyColumns,
	skinnyMost: 8, skinnyMostMixed: 8, skinnyMostDot: 16, skinnyBlock: skinnyColumns, skinnyBlockDot: 4,
	wideRows: [2]int{256, 32}, wideDot: [2]int{4, 1024},
	peak: peakPortable, peakOps: 16,
	vecOps: &portableVecOps,
}

// tilePortable is the 4 x 4 register tile in plain Go. It makes two passes of
// two rows each: eight sums are what the compiler keeps in registers.
func tilePortable(t *tile) {
	var sum [16]float32
	for i := 0; i < min(t.rows, 4); i += 2 {
		var s0, s1, s2, s3, s4, s5, s6, s7 float32
		for a, b := t.a[:4*t.k], t.b[:4*t.k]; len(a) >= 4 && len(b) >= 4; a, b = a[4:], b[4:] {
			a0, a1 := a[i&3], a[(i+1)&3]
			b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
			s0 += a0 * b0
			s1 += a0 * b1
			s2 += a0 * b2
			s3 += a0 * b3
			s4 += a1 * b0
			s5 += a1 * b1
			s6 += a1 * b2
			s7 += a1 * b3
		}
		*(*[8]float32)(sum[4*i:]) = [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
	}
	for i := range t.rows {
		c, s := t.c[i*t.cs:][:t.cols], sum[4*i:][:t.cols]
		if t.init != nil {
			for j, v := range t.init[i*t.is:][:t.cols] {
				s[j] += v
			}
		}
		if t.bias != nil {
			for j, v := range t.bias[:t.cols] {
				s[j] += v
			}
		}
		copy(c, s)
	}
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
		panel := dst[lo/w*size:]
		for i := range min(w, n-lo) {
			src := s.data[(lo+i)*s.free:]
			for kk := range k {
				panel[kk*w+i] = src[kk*s.inner]
			}
		}
	}
}
