package blas

import (
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// BLAS is a gonum BLAS, row-major, with the products Sgemm and Sgemv of package
// kernel. It may be used by several goroutines, which take turns.
type BLAS struct {
	gonum.Implementation
	threads int

	mu     sync.Mutex
	pool   *kernel.Pool // made by the first product
	scaled []float32    // alpha times an operand
}

var (
	_ blas.Float32 = (*BLAS)(nil)
	_ blas.Float64 = (*BLAS)(nil)
)

// New makes a BLAS of so many threads; 0 is one a core. It costs nothing before
// its first product.
func New(threads int) *BLAS { return &BLAS{threads: threads} }

// Close ends the threads. The BLAS can still be used, and starts new ones.
func (b *BLAS) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pool != nil {
		b.pool.Close()
		b.pool = nil
	}
	b.scaled = nil
}

// lock makes b the caller's, with a pool.
func (b *BLAS) lock() *kernel.Pool {
	b.mu.Lock()
	if b.pool == nil {
		b.pool = kernel.NewPool(b.threads)
	}
	return b.pool
}

// view is an operand of a product: m x n of op(a), stored transposed if trans.
func view(trans bool, m, n int, a []float32, lda int) (v kernel.Matrix, ok bool) {
	if trans {
		m, n = n, m
	}
	v = kernel.Matrix{Data: a, Rows: m, Cols: n, Stride: lda}
	return v, m > 0 && n > 0 && lda >= n && len(a) >= (m-1)*lda+n
}

// Sgemm is c = alpha·op(a)·op(b) + beta·c for c (m, n), op(a) (m, k) and op(b)
// (k, n). It panics as gonum's does on arguments that do not fit.
func (b *BLAS) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, bb []float32, ldb int, beta float32, c []float32, ldc int) {
	transA, okA := transposed(tA)
	transB, okB := transposed(tB)
	x, fitsA := view(transA, m, k, a, lda)
	y, fitsB := view(transB, k, n, bb, ldb)
	z, fitsC := view(false, m, n, c, ldc)
	if !okA || !okB || !fitsA || !fitsB || !fitsC || alpha == 0 {
		b.Implementation.Sgemm(tA, tB, m, n, k, alpha, a, lda, bb, ldb, beta, c, ldc)
		return
	}
	p := b.lock()
	defer b.mu.Unlock()
	if x.Rows*x.Cols <= y.Rows*y.Cols {
		x = b.times(alpha, x)
	} else {
		y = b.times(alpha, y)
	}
	if beta != 0 && beta != 1 {
		for i := range m {
			row := c[i*ldc:][:n]
			for j := range row {
				row[j] *= beta
			}
		}
	}
	kernel.MatMul(p, z, x, y, kernel.Product{TransA: transA, TransB: transB, Accumulate: beta != 0})
}

// Sgemv is y = alpha·op(a)·x + beta·y for a (m, n). It panics as gonum's does on
// arguments that do not fit.
func (b *BLAS) Sgemv(t blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	trans, ok := transposed(t)
	out, in := m, n
	if trans {
		out, in = n, m
	}
	if v, fits := view(false, m, n, a, lda); ok && fits && incX == 1 && incY == 1 && len(x) >= in && len(y) >= out && alpha != 0 {
		// As a product of one row, which reads a once, as it lies.
		p := b.lock()
		defer b.mu.Unlock()
		if beta != 0 && beta != 1 {
			for i := range y[:out] {
				y[i] *= beta
			}
		}
		kernel.MatMul(p, kernel.Mat(y[:out], 1, out), b.times(alpha, kernel.Mat(x[:in], 1, in)), v, kernel.Product{TransB: !trans, Accumulate: beta != 0})
		return
	}
	b.Implementation.Sgemv(t, m, n, alpha, a, lda, x, incX, beta, y, incY)
}

// times is alpha·x, in memory of b's own unless alpha is 1.
func (b *BLAS) times(alpha float32, x kernel.Matrix) kernel.Matrix {
	if alpha == 1 {
		return x
	}
	if n := x.Rows * x.Cols; cap(b.scaled) < n {
		b.scaled = make([]float32, n)
	}
	s := kernel.Mat(b.scaled[:x.Rows*x.Cols], x.Rows, x.Cols)
	for i := range x.Rows {
		row := s.Data[i*s.Stride:][:s.Cols]
		for j, v := range x.Data[i*x.Stride:][:x.Cols] {
			row[j] = alpha * v
		}
	}
	return s
}

func transposed(t blas.Transpose) (trans, ok bool) {
	return t != blas.NoTrans, t == blas.NoTrans || t == blas.Trans || t == blas.ConjTrans
}
