package coupled

import (
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"gonum.org/v1/gonum/mat"
)

// fastRefit is from how many kept columns on a refit is solved by float32 products. Below,
// float64 is fast enough.
const fastRefit = 256

// pool is the workers of the evidence's options, nil without.
func (e *Evidence) pool() *kernel.Pool {
	if e == nil {
		return nil
	}
	return e.options.Pool
}

// solveFast is solve by products of float32: the covariance is a sum of such products already,
// and the ridge is far above their rounding. A matrix that is not positive definite in float32
// is solved in float64.
func (f *fit) solveFast(mean []float64, ridge float64) (change func(i, j int) float64, err error) {
	k, p := len(f.kept), len(f.gone)
	kk := make([]float32, k*k)
	trace := 0.0
	for a, i := range f.kept {
		for b, j := range f.kept[:a+1] {
			kk[a*k+b] = float32(f.covariance(mean, i, j))
		}
		trace += float64(kk[a*k+a])
	}
	lambda := ridge * trace / float64(k)
	if !(lambda > 0) || math.IsInf(lambda, 0) {
		return noChange, nil
	}
	for a := range k {
		kk[a*k+a] += float32(lambda)
	}
	kp, gone := make([]float32, k*p), make([]float32, p*f.width)
	for a, i := range f.kept {
		for b, j := range f.gone {
			kp[a*p+b] = float32(f.covariance(mean, i, j))
		}
	}
	for b, r := range f.gone {
		copy(gone[b*f.width:(b+1)*f.width], f.rows[r*f.width:])
	}
	x := make([]float32, k*f.width)
	kernel.MatMul(f.pool, kernel.Mat(x, k, f.width), kernel.Mat(kp, k, p), kernel.Mat(gone, p, f.width), kernel.Product{})
	kp, gone = nil, nil
	s := spd{pool: f.pool, a: kk, n: k}
	if !s.factorize() {
		return f.solve(mean, ridge)
	}
	s.solve(x, f.width)
	return func(i, j int) float64 { return float64(x[i*f.width+j]) }, nil
}

// spd is a symmetric positive definite matrix [n, n], of which the lower triangle is read and
// becomes the Cholesky factor L. Blocks on the diagonal are factorized and inverted in
// float64, the rest are products (Golub and Van Loan, Matrix Computations, 4.2.9).
type spd struct {
	pool    *kernel.Pool
	a       []float32
	n       int
	inverse [][]float32 // of each diagonal block of L, [width, width]
}

// spdBlock is the width of blocks.
const spdBlock = 128

// block is rows lo..hi and columns lo2..hi2 of a.
func (s *spd) block(lo, hi, lo2, hi2 int) kernel.Matrix {
	return kernel.Matrix{Data: s.a[lo*s.n+lo2:], Rows: hi - lo, Cols: hi2 - lo2, Stride: s.n}
}

// factorize makes L; false where a is not positive definite.
func (s *spd) factorize() bool {
	panel := make([]float32, s.n*spdBlock)
	for lo := 0; lo < s.n; lo += spdBlock {
		hi := min(lo+spdBlock, s.n)
		if !s.diagonal(lo, hi) {
			return false
		}
		if hi == s.n {
			break
		}
		// Below the block: A := A L^-T, then what is right of it loses A A^T.
		w, m := hi-lo, s.n-hi
		below := kernel.Mat(panel[:m*w], m, w)
		kernel.MatMul(s.pool, below, s.block(hi, s.n, lo, hi), kernel.Mat(s.inverse[lo/spdBlock], w, w), kernel.Product{TransB: true})
		for i := range m {
			copy(s.a[(hi+i)*s.n+lo:][:w], below.Data[i*w:])
		}
		for i := range below.Data {
			below.Data[i] = -below.Data[i]
		}
		for j := hi; j < s.n; j += spdBlock {
			end := min(j+spdBlock, s.n)
			part := kernel.Matrix{Data: below.Data[(j-hi)*w:], Rows: s.n - j, Cols: w, Stride: w}
			kernel.MatMul(s.pool, s.block(j, s.n, j, end), part, s.block(j, end, lo, hi), kernel.Product{TransB: true, Accumulate: true})
		}
	}
	return true
}

// diagonal factorizes the diagonal block lo..hi and inverts its factor.
func (s *spd) diagonal(lo, hi int) bool {
	w := hi - lo
	m := mat.NewSymDense(w, nil)
	for i := range w {
		for j := range i + 1 {
			m.SetSym(i, j, float64(s.a[(lo+i)*s.n+lo+j]))
		}
	}
	var c mat.Cholesky
	if !c.Factorize(m) {
		return false
	}
	var l, inverse mat.TriDense
	c.LTo(&l)
	if err := inverse.InverseTri(&l); err != nil {
		return false
	}
	out := make([]float32, w*w)
	for i := range w {
		for j := range i + 1 {
			s.a[(lo+i)*s.n+lo+j] = float32(l.At(i, j))
			out[i*w+j] = float32(inverse.At(i, j))
		}
	}
	s.inverse = append(s.inverse, out)
	return true
}

// solve replaces x [n, width] by the solution, after factorize.
func (s *spd) solve(x []float32, width int) {
	s.forward(x, width, 0)
	s.backward(x, width, 0)
}

// step replaces the rows of x of the block lo..hi by the block's inverse, or its transpose,
// times them, and returns them negated.
func (s *spd) step(x []float32, width, lo, hi int, transposed bool) kernel.Matrix {
	w := hi - lo
	out := kernel.Mat(make([]float32, w*width), w, width)
	kernel.MatMul(s.pool, out, kernel.Mat(s.inverse[lo/spdBlock], w, w), rowsOf(x, width, lo, hi), kernel.Product{TransA: transposed})
	copy(x[lo*width:], out.Data)
	for i := range out.Data {
		out.Data[i] = -out.Data[i]
	}
	return out
}

// rowsOf is rows lo..hi of x [n, width].
func rowsOf(x []float32, width, lo, hi int) kernel.Matrix {
	return kernel.Mat(x[lo*width:hi*width], hi-lo, width)
}

// forward replaces x [n, width], whose rows before from, a multiple of spdBlock, are zero, by
// L^-1 x.
func (s *spd) forward(x []float32, width, from int) {
	for lo := from; lo < s.n; lo += spdBlock {
		hi := min(lo+spdBlock, s.n)
		if out := s.step(x, width, lo, hi, false); hi < s.n {
			kernel.MatMul(s.pool, rowsOf(x, width, hi, s.n), s.block(hi, s.n, lo, hi), out, kernel.Product{Accumulate: true})
		}
	}
}

// backward replaces the rows of x [n, width] from `to`, a multiple of spdBlock, on by those
// of L^-T x.
func (s *spd) backward(x []float32, width, to int) {
	for lo := (s.n - 1) / spdBlock * spdBlock; lo >= to; lo -= spdBlock {
		hi := min(lo+spdBlock, s.n)
		if out := s.step(x, width, lo, hi, true); lo > to {
			kernel.MatMul(s.pool, rowsOf(x, width, to, lo), s.block(lo, hi, to, lo), out, kernel.Product{TransA: true, Accumulate: true})
		}
	}
}

// halves calls each with columns lo..hi of L^-1, [n, hi-lo], zero before row lo.
func (s *spd) halves(each func(lo, hi int, x []float32)) {
	buf := make([]float32, s.n*spdBlock)
	for lo := 0; lo < s.n; lo += spdBlock {
		hi := min(lo+spdBlock, s.n)
		x := buf[:s.n*(hi-lo)]
		clear(x)
		for i := range hi - lo {
			x[(lo+i)*(hi-lo)+i] = 1
		}
		s.forward(x, hi-lo, lo)
		each(lo, hi, x)
	}
}

// invert is the inverse, [n, n], after factorize.
func (s *spd) invert() []float32 {
	out := make([]float32, s.n*s.n)
	s.halves(func(lo, hi int, x []float32) {
		w := hi - lo
		s.backward(x, w, lo)
		for i := lo; i < s.n; i++ {
			copy(out[i*s.n+lo:][:w], x[i*w:])
		}
	})
	MirrorLower(out, s.n)
	return out
}

// inverseDiagonal is the diagonal of the inverse, after factorize: the squares of the columns of
// L^-1.
func (s *spd) inverseDiagonal() []float64 {
	out := make([]float64, s.n)
	s.halves(func(lo, hi int, x []float32) {
		for i := lo * (hi - lo); i < len(x); i++ {
			out[lo+i%(hi-lo)] += float64(x[i]) * float64(x[i])
		}
	})
	return out
}
