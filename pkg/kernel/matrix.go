package kernel

import "unsafe"

// Matrix is a row-major view of Rows x Cols float32 values: element (i, j) is
// Data[i*Stride+j]. Stride is at least Cols, so a Matrix may be a column range
// of a wider one. The last row need not be followed by padding.
type Matrix struct {
	Data               []float32
	Rows, Cols, Stride int
	BF16               []uint16 // of a factor, in place of Data: the values as bfloat16
}

// Mat views rows x cols contiguous values, so that its stride is cols.
func Mat(data []float32, rows, cols int) Matrix {
	return Matrix{Data: data, Rows: rows, Cols: cols, Stride: cols}
}

// Product says how MatMul multiplies; its zero value is C = A·B in float32.
type Product struct {
	TransA, TransB bool      // op(X) = Xᵀ instead of X
	Accumulate     bool      // add to what C holds instead of overwriting it
	Bias           []float32 // nil, or C.Cols values added to every row
	Residual       []float32 // nil, or values laid out as C (same stride) that are added
	BF16           bool      // round A and B to bfloat16 (nearest even); sums stay float32
	// Int8 multiplies A as signed bytes too where B is stored as Q8 and transposed: each
	// block of 32 values of a row of A is rounded to whole numbers of its largest magnitude
	// over 127. The bits of a row of C then depend on no other row. Else it changes nothing.
	Int8 bool
}

const (
	badMatrix   = "kernel: matrix shape does not fit its data"
	badProduct  = "kernel: matrix product of unequal inner lengths"
	badBias     = "kernel: bias length is not the number of columns"
	badResidual = "kernel: residual is shorter than the matrix"
)

// extent is how many values of Data a view touches.
func (m Matrix) extent() int {
	if m.Rows == 0 || m.Cols == 0 {
		return 0
	}
	return (m.Rows-1)*m.Stride + m.Cols
}

func (m Matrix) check() {
	if m.Rows < 0 || m.Cols < 0 || m.Rows > 1 && m.Stride < m.Cols || max(len(m.Data), len(m.BF16)) < m.extent() {
		panic(badMatrix)
	}
}

// dims checks a product, but for B's data, and returns its sizes: C is m x n, the
// inner length k.
func (o *Product) dims(c, a Matrix, bRows, bCols int) (m, n, k int) {
	if c.BF16 != nil {
		panic(badMatrix)
	}
	c.check()
	a.check()
	am, ak := a.Rows, a.Cols
	if o.TransA {
		am, ak = ak, am
	}
	bk, bn := bRows, bCols
	if o.TransB {
		bk, bn = bn, bk
	}
	if am != c.Rows || bn != c.Cols || ak != bk {
		panic(badProduct)
	}
	if o.Bias != nil && len(o.Bias) != c.Cols {
		panic(badBias)
	}
	if o.Residual != nil && len(o.Residual) < c.extent() {
		panic(badResidual)
	}
	return am, bn, ak
}

// Matrix16 is a Matrix whose values are stored as bfloat16.
type Matrix16 struct {
	Data               []uint16
	Rows, Cols, Stride int
}

func (m Matrix16) check() {
	if n := (Matrix{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride}).extent(); m.Rows < 0 || m.Cols < 0 || m.Rows > 1 && m.Stride < m.Cols || len(m.Data) < n {
		panic(badMatrix)
	}
}

// side is one factor of a product with its transposition resolved: element
// (i, k), i the index along C and k the summed one, is data[i*free+k*inner], or
// the same of bf16 or, counted in values from skip on, of q8. One of the two strides
// is 1.
type side struct {
	data        []float32
	bf16        []uint16
	free, inner int
	q8          []byte
	skip        int
}

// newSide makes a side whose free index goes along the rows of a matrix, or
// along its columns.
func newSide(data []float32, bf16 []uint16, stride int, cols bool) side {
	if cols {
		return side{data: data, bf16: bf16, free: 1, inner: stride}
	}
	return side{data: data, bf16: bf16, free: stride, inner: 1}
}

// at is the side from (i, k) on.
func (s side) at(i, k int) side {
	switch at := i*s.free + k*s.inner; {
	case s.q8 != nil:
		s.skip += at
	case s.bf16 != nil:
		s.bf16 = s.bf16[at:]
	default:
		s.data = s.data[at:]
	}
	return s
}

// pointer is where the values of a side of 32 or 16 bits begin.
func (s side) pointer() unsafe.Pointer {
	if s.bf16 != nil {
		return unsafe.Pointer(&s.bf16[0])
	}
	return unsafe.Pointer(&s.data[0])
}

// copied is rows of n values of a side of 32 or 16 bits whose free index is contiguous, copied
// to rows of dst that are ds values apart, an even number.
func (s side) copied(dst []float32, ds, rows, n int) side {
	if s.bf16 == nil {
		current.vecOps.gather(dst, s.data, rows, n, ds, s.inner)
		return side{data: dst, free: 1, inner: ds}
	}
	to := asBF16(dst)
	if (n|s.inner)%2 == 0 {
		current.vecOps.gather(dst, inTwos(s.bf16), rows, n/2, ds/2, s.inner/2)
	} else {
		for i := range rows {
			copy(to[i*ds:][:n], s.bf16[i*s.inner:])
		}
	}
	return side{bf16: to, free: 1, inner: ds}
}

// widen writes rows of n values of a side of 16 or 8 bits as they lie, stride values
// apart, to rows of dst that are ds apart.
func (s *side) widen(dst []float32, ds, stride, rows, n int) {
	if s.q8 != nil {
		fromQ8Rows(dst, ds, s.q8, s.skip, stride, rows, n)
		return
	}
	for i := range rows {
		FromBF16(dst[i*ds:][:n], s.bf16[i*stride:])
	}
}

// row copies the values (i, k) of a side of float32 or bfloat16 for all k of dst, as float32.
func (s *side) row(dst []float32, i int) {
	at := i * s.free
	switch {
	case s.inner == 1 && s.bf16 != nil:
		FromBF16(dst, s.bf16[at:])
	case s.inner == 1:
		copy(dst, s.data[at:])
	case s.bf16 != nil:
		for k := range dst {
			fromBF16Portable(dst[k:k+1], s.bf16[at+k*s.inner:])
		}
	default:
		for k := range dst {
			dst[k] = s.data[at+k*s.inner]
		}
	}
}
