package coupled

import (
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"gonum.org/v1/gonum/mat"
)

// columnsPerToken is how many columns there must be for each token, so that the rows of activations
// are kept and not their second moments.
const columnsPerToken = 2

// KeepsRows reports whether evidence keeps the rows of activations of so many columns as they
// are, where it gathers moments for refits from at most so many tokens (Options.Tokens).
func KeepsRows(cols, tokens int) bool {
	return tokens > 0 && cols >= fastRefit && cols >= columnsPerToken*tokens
}

// solveRows is solve by the rows X of activations of n tokens: with s = n lambda
//
//	(C_kk + lambda I)^-1 C_kp B_p = X_k^T (X_k X_k^T + s I)^-1 X_p B_p = (X_k^T X_k + s I)^-1 X_k^T X_p B_p
//
// of which the first has a system of the side of the tokens (the dual form of ridge regression)
// and the second of the kept columns; the smaller one is solved, by products of float32. Rows are
// centred where C is.
func (f *fit) solveRows(mean []float64, ridge float64) (change func(i, j int) float64, err error) {
	k, w, trace := len(f.kept), f.width, 0.0
	if f.bias == nil {
		mean = make([]float64, len(mean))
	}
	for _, i := range f.kept {
		trace += f.moment.square[i]/f.moment.weight - mean[i]*mean[i]
	}
	lambda := ridge * trace / float64(k)
	if !(lambda > 0) || math.IsInf(lambda, 0) {
		return noChange, nil
	}
	pool := f.pool
	if pool == nil {
		pool = kernel.NewPool(1)
		defer pool.Close()
	}
	r := f.moment.tokens()
	kept := kernel.Mat(make([]float32, r*k), r, k)
	f.moment.columns(kept.Data, f.kept, mean, 0, r)
	x := f.lost(pool, mean)
	if r > k {
		x = transposed(pool, kept, x, w)
	}
	if err := ridged(pool, kept, lambda*f.moment.weight, x, w); err != nil {
		return nil, fmt.Errorf("%w: solve for %d kept columns from %d tokens: %w", ErrEvidence, k, r, err)
	}
	if r <= k {
		x = transposed(pool, kept, x, w)
	}
	return func(i, j int) float64 { return float64(x[i*w+j]) }, nil
}

// lost is X_p B_p, [tokens, width], a few rows at a time.
func (f *fit) lost(pool *kernel.Pool, mean []float64) []float32 {
	const panel = 512
	r, p, w := f.moment.tokens(), len(f.gone), f.width
	gone, out := make([]float32, p*w), make([]float32, r*w)
	for b, i := range f.gone {
		copy(gone[b*w:(b+1)*w], f.rows[i*w:])
	}
	buf := make([]float32, min(panel, r)*p)
	for lo := 0; lo < r; lo += panel {
		hi := min(lo+panel, r)
		part := kernel.Mat(buf[:(hi-lo)*p], hi-lo, p)
		f.moment.columns(part.Data, f.gone, mean, lo, hi)
		kernel.MatMul(pool, rowsOf(out, w, lo, hi), part, kernel.Mat(gone, p, w), kernel.Product{})
	}
	return out
}

// transposed is x^T y, [columns of x, w].
func transposed(pool *kernel.Pool, x kernel.Matrix, y []float32, w int) []float32 {
	out := make([]float32, x.Cols*w)
	kernel.MatMul(pool, kernel.Mat(out, x.Cols, w), x, kernel.Mat(y, x.Rows, w), kernel.Product{TransA: true})
	return out
}

// ridged replaces y [n, w] by (G + shift I)^-1 y with G the products of x's rows, or of its
// columns where those are fewer. What is not positive definite in float32 is solved in float64,
// and where the rounding of G itself is above the shift, by ten and by a hundred times as much.
func ridged(pool *kernel.Pool, x kernel.Matrix, shift float64, y []float32, w int) error {
	n := min(x.Rows, x.Cols)
	system := func(shift float64) []float32 {
		g := make([]float32, n*n)
		LowerGram(pool, g, x, x.Cols < x.Rows)
		for i := range n {
			g[i*n+i] += float32(shift)
		}
		return g
	}
	s := spd{pool: pool, a: system(shift), n: n}
	if s.factorize() {
		s.solve(y, w)
		return nil
	}
	for _, more := range []float64{1, 10, 100} {
		if done, err := inFloat64(system(more*shift), y, n, w); done || err != nil {
			return err
		}
	}
	return errors.New("the matrix is not positive definite: raise the ridge")
}

// inFloat64 replaces y [n, w] by g^-1 y, where the symmetric matrix g, of which the lower
// triangle is read, is positive definite.
func inFloat64(g, y []float32, n, w int) (done bool, err error) {
	m, right := mat.NewSymDense(n, nil), mat.NewDense(n, w, nil)
	for i := range n {
		for j := range i + 1 {
			m.SetSym(i, j, float64(g[i*n+j]))
		}
		for j, v := range y[i*w : (i+1)*w] {
			right.Set(i, j, float64(v))
		}
	}
	var c mat.Cholesky
	var z mat.Dense
	if !c.Factorize(m) {
		return false, nil
	}
	if err := c.SolveTo(&z, right); err != nil {
		return false, err
	}
	for i := range y {
		y[i] = float32(z.At(i/w, i%w))
	}
	return true, nil
}

// gramBand is the columns of a band of LowerGram's products.
const gramBand = 512

// LowerGram adds x x^T, or with columns x^T x, to the lower half of out [n, n]; some of the
// upper half becomes something else.
func LowerGram(pool *kernel.Pool, out []float32, x kernel.Matrix, columns bool) {
	n := x.Rows
	o := kernel.Product{Accumulate: true, TransB: !columns, TransA: columns}
	side := func(lo, hi int) kernel.Matrix {
		if columns {
			return kernel.Matrix{Data: x.Data[lo:], Rows: x.Rows, Cols: hi - lo, Stride: x.Stride}
		}
		return kernel.Matrix{Data: x.Data[lo*x.Stride:], Rows: hi - lo, Cols: x.Cols, Stride: x.Stride}
	}
	if columns {
		n = x.Cols
	}
	for lo := 0; lo < n; lo += gramBand {
		hi := min(lo+gramBand, n)
		band := kernel.Matrix{Data: out[lo*n+lo:], Rows: n - lo, Cols: hi - lo, Stride: n}
		kernel.MatMul(pool, band, side(lo, n), side(lo, hi), o)
	}
}

// gramFLOPs is the operations of LowerGram for n columns of so many rows, or the reverse.
func gramFLOPs(n, rows int64) int64 { return n*n*rows + min(n, gramBand)*n*rows }

// MomentFLOPs is the operations of second moments of so many columns from so many tokens.
func MomentFLOPs(cols, tokens int) int64 {
	if KeepsRows(cols, tokens) {
		return 0
	}
	return gramFLOPs(int64(cols), int64(tokens))
}

// RefitFLOPs is about the operations of one refit of n rows of so many columns, of which some
// are kept, by moments from so many tokens.
func RefitFLOPs(n, kept, width, tokens int) int64 {
	k, gone, w, r := int64(kept), int64(n-kept), int64(width), int64(tokens)
	if KeepsRows(n, tokens) {
		m := min(r, k)
		return gramFLOPs(m, max(r, k)) + m*m*m/3 + 2*m*m*w + 2*r*(k+gone)*w
	}
	return k*k*k/3 + 2*k*gone*w + 2*k*k*w
}

// RefitBytes is the memory that a refit of n rows of so many columns takes beside the moments
// of so many tokens, at most.
func RefitBytes(n, width, tokens int) int64 {
	rows, w, r := int64(n), int64(width), int64(tokens)
	if KeepsRows(n, tokens) {
		return 4*(rows*r+r*r+2*rows*w+r*w) + 4*512*rows
	}
	return 2*rows*rows + 8*rows*w // kept x kept and kept x gone, at worst; both sides of it
}
