package kernel

// Weights are the values of a matrix as they are stored: as float32, as bfloat16, or
// as Q8 (see ToQ8), one of the three. Rows are contiguous, and of Q8 whole blocks.
type Weights struct {
	F32  []float32
	BF16 []uint16
	Q8   []byte
}

// Bytes is the memory of n values, which for Q8 are whole blocks.
func (w Weights) Bytes(n int) int {
	switch {
	case w.Q8 != nil:
		return n / Q8Block * Q8Bytes
	case w.BF16 != nil:
		return 2 * n
	}
	return 4 * n
}

// check panics unless w holds rows x cols values.
func (w Weights) check(rows, cols int) {
	n := rows * cols
	switch {
	case w.Q8 != nil:
		if cols%Q8Block != 0 {
			panic(badShape)
		}
		if len(w.Q8) < n/Q8Block*Q8Bytes {
			panic(badLength)
		}
	case w.BF16 != nil:
		if len(w.BF16) < n {
			panic(badLength)
		}
	default:
		need(w.F32, n)
	}
}

// from is what follows the first rows of cols values.
func (w Weights) from(rows, cols int) Weights {
	switch at := rows * cols; {
	case w.Q8 != nil:
		return Weights{Q8: w.Q8[at/Q8Block*Q8Bytes:]}
	case w.BF16 != nil:
		return Weights{BF16: w.BF16[at:]}
	default:
		return Weights{F32: w.F32[at:]}
	}
}

// row widens row i of cols values.
func (w Weights) row(dst []float32, i, cols int) {
	switch at := i * cols; {
	case w.Q8 != nil:
		fromQ8Rows(dst, cols, w.Q8, at, cols, 1, cols)
	case w.BF16 != nil:
		FromBF16(dst[:cols], w.BF16[at:])
	default:
		copy(dst[:cols], w.F32[at:])
	}
}

// MatMulWeights is MatMul with B, rows x cols, as it is stored. Values of 16 bits and of
// Q8 are widened to float32 on their way into the product, a panel at a time; with
// o.BF16 bfloat16 is multiplied as it is, as by MatMul16. Q8 is multiplied as float32, or
// with o.Int8 and a float32 A as whole numbers.
func MatMulWeights(p *Pool, c, a Matrix, b Weights, rows, cols int, o Product) {
	switch {
	case b.Q8 != nil:
		b.check(rows, cols)
		o.BF16 = false
		m, n, k := o.dims(c, a, rows, cols)
		if m == 0 || n == 0 {
			return
		}
		s := newSide(nil, nil, cols, !o.TransB)
		s.q8 = b.Q8
		g := newGemm(p, c, newSide(a.Data, a.BF16, a.Stride, o.TransA), s, &o)
		if o.Int8 && a.BF16 == nil && o.TransB && !o.TransA && k > 0 {
			g.int8(k)
			return
		}
		if !o.TransB && m <= rowQ8Few && k > 0 && g.q.rowQ8 != nil {
			g.rowQ8(k)
			return
		}
		g.run(m, n, k)
	case b.BF16 != nil:
		MatMul16(p, c, a, Matrix16{Data: b.BF16, Rows: rows, Cols: cols, Stride: cols}, o)
	default:
		MatMul(p, c, a, Mat(b.F32, rows, cols), o)
	}
}
