package coupled

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/ecospa/ecospa/pkg/kernel"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// solveLow is solve where the moments are from far fewer tokens than there are kept columns: C
// then has no more rank than tokens, C = F F^T with as many columns of F, and
//
//	(C_kk + lambda I)^-1 C_kp B_p = F_k (F_k^T F_k + lambda I)^-1 F_p^T B_p
//
// whose system has the side of the rank (the dual form of ridge regression). F and the system
// are of float64, the products with B of float32.
func (f *fit) solveLow(mean []float64, ridge float64) (change func(i, j int) float64, err error) {
	k, p, w := len(f.kept), len(f.gone), f.width
	trace := 0.0
	for _, i := range f.kept {
		trace += f.covariance(mean, i, i)
	}
	lambda := ridge * trace / float64(k)
	if !(lambda > 0) || math.IsInf(lambda, 0) {
		return noChange, nil
	}
	low := newLowRank(len(mean), f.rankBound(), func(i, j int) float64 { return f.covariance(mean, i, j) })
	r := low.rank
	if r == 0 {
		return noChange, nil
	}
	kept := low.columns(f.kept)
	rows, right := make([]float32, p*w), make([]float32, r*w)
	for b, i := range f.gone {
		copy(rows[b*w:(b+1)*w], f.rows[i*w:])
	}
	kernel.MatMul(f.pool, kernel.Mat(right, r, w), float32s(low.columns(f.gone)), kernel.Mat(rows, p, w), kernel.Product{TransA: true})
	z, err := ridged(kept, lambda, right, w)
	if err != nil {
		return nil, fmt.Errorf("%w: solve for %d kept columns from %d tokens: %w", ErrEvidence, k, int(f.moment.weight), err)
	}
	x := make([]float32, k*w)
	kernel.MatMul(f.pool, kernel.Mat(x, k, w), float32s(kept), float32s(z), kernel.Product{})
	return func(i, j int) float64 { return float64(x[i*w+j]) }, nil
}

// ridged is (F^T F + lambda I)^-1 right, [columns of F, w].
func ridged(factor *mat.Dense, lambda float64, right []float32, w int) (*mat.Dense, error) {
	_, r := factor.Dims()
	var square, z mat.Dense
	square.Mul(factor.T(), factor)
	system := mat.NewSymDense(r, nil)
	for a := range r {
		for b := a; b < r; b++ {
			system.SetSym(a, b, square.At(a, b))
		}
		system.SetSym(a, a, system.At(a, a)+lambda)
	}
	to := mat.NewDense(r, w, nil)
	for i, v := range right {
		to.Set(i/w, i%w, float64(v))
	}
	var c mat.Cholesky
	if !c.Factorize(system) {
		return nil, errors.New("the matrix is not positive definite: raise the ridge")
	}
	return &z, c.SolveTo(&z, to)
}

// float32s is a copy of a matrix.
func float32s(m *mat.Dense) kernel.Matrix {
	rows, cols := m.Dims()
	out := kernel.Mat(make([]float32, rows*cols), rows, cols)
	for i := range rows {
		for j, v := range m.RawRowView(i) {
			out.Data[i*cols+j] = float32(v)
		}
	}
	return out
}

// few reports whether moments are from so few tokens that solveLow is the fastest.
func few(kept int, tokens float64) bool { return tokens < float64(kept)*3/4 }

// rankBound is the most rank that the second moments can have.
func (f *fit) rankBound() int {
	return int(min(float64(len(f.moment.sum)), math.Ceil(f.moment.weight)))
}

const (
	// pivotBlock is how many columns of a factor are chosen together.
	pivotBlock = 32
	// momentNoise is the share of a column's second moment that float32 sums may leave of it
	// when all of it has been taken away.
	momentNoise = 1e-6
	// leastPivot is what a pivot must have, beside the smallest candidate for its block.
	leastPivot = 0.1
)

// lowRank is a factor F [n, rank] of a symmetric positive semidefinite matrix C = F F^T. Each
// column eliminates a row of C of which much is left (Cholesky with pivots: Higham, Accuracy
// and Stability of Numerical Algorithms, 10.3), until nothing but rounding is.
type lowRank struct {
	at      func(i, j int) float64 // C
	n, most int                    // rows, columns at most
	rank    int
	f       []float64 // [n, most], of which rank columns are made
	whole   []float64 // the diagonal of C
	left    []float64 // of C - F F^T
}

// newLowRank makes a factor of at most so many columns.
func newLowRank(n, most int, at func(i, j int) float64) *lowRank {
	x := &lowRank{at: at, n: n, most: most, f: make([]float64, n*most), whole: make([]float64, n), left: make([]float64, n)}
	for i := range n {
		x.whole[i] = at(i, i)
		x.left[i] = x.whole[i]
	}
	for x.rank < most {
		some := x.candidates(min(pivotBlock, most-x.rank))
		if len(some) == 0 {
			break
		}
		if pivots, l := x.choose(some); len(pivots) > 0 {
			x.extend(pivots, l)
		}
	}
	return x
}

// candidates are at most so many rows of which most is left, the largest first.
func (x *lowRank) candidates(most int) (rows []int) {
	for i, d := range x.left {
		if d > momentNoise*x.whole[i] {
			rows = append(rows, i)
		}
	}
	sort.Slice(rows, func(a, b int) bool {
		if da, db := x.left[rows[a]], x.left[rows[b]]; da != db {
			return da > db
		}
		return rows[a] < rows[b]
	})
	return rows[:min(most, len(rows))]
}

// choose eliminates candidates among each other in float64. Those that are hardly left by the
// ones before them wait for a later block. l is the factor of those that are chosen, [m, m].
func (x *lowRank) choose(some []int) (pivots []int, l []float64) {
	m := len(some)
	rest := make([]float64, m*m)
	for a, i := range some {
		for b, j := range some[:a+1] {
			v := x.at(i, j)
			fi, fj := x.f[i*x.most:][:x.rank], x.f[j*x.most:][:x.rank]
			for c, y := range fi {
				v -= y * fj[c]
			}
			rest[a*m+b], rest[b*m+a] = v, v
		}
	}
	floor := leastPivot * x.left[some[m-1]]
	for a, i := range some {
		x.left[i] = rest[a*m+a]
	}
	var order []int
	columns := make([]float64, m*m) // column t has row a at t*m+a
	for t := range m {
		best := -1
		for a, i := range some {
			if d := rest[a*m+a]; d > momentNoise*x.whole[i] && (t == 0 || d > floor) && (best < 0 || d > rest[best*m+best]) {
				best = a
			}
		}
		if best < 0 {
			break
		}
		order = append(order, best)
		root := math.Sqrt(rest[best*m+best])
		column := columns[t*m:][:m]
		for a := range m {
			column[a] = rest[a*m+best] / root
		}
		for a := range m {
			for b := range m {
				rest[a*m+b] -= column[a] * column[b]
			}
		}
		rest[best*m+best] = 0
	}
	l = make([]float64, len(order)*len(order))
	for a, i := range order {
		pivots = append(pivots, some[i])
		for t := range a + 1 {
			l[a*len(order)+t] = columns[t*m+i]
		}
	}
	return pivots, l
}

// extend adds the columns of pivots, whose own factor is l.
func (x *lowRank) extend(pivots []int, l []float64) {
	m, r := len(pivots), x.rank
	y := mat.NewDense(x.n, m, nil) // F F^T of the pivots' columns so far
	if r > 0 {
		y.Mul(x.columns(upTo(x.n)), x.columns(pivots).T())
	}
	for i := range x.n {
		row := x.f[i*x.most+r:][:m]
		for a, j := range pivots {
			v := x.at(i, j) - y.At(i, a)
			for b, z := range row[:a] {
				v -= z * l[a*m+b]
			}
			row[a] = v / l[a*m+a]
			x.left[i] -= row[a] * row[a]
		}
	}
	for _, i := range pivots {
		x.left[i] = 0
	}
	x.rank += m
}

// columns is some rows of F; of all rows it shares memory with F.
func (x *lowRank) columns(of []int) *mat.Dense {
	if len(of) == x.n {
		var all mat.Dense
		all.SetRawMatrix(blas64.General{Rows: x.n, Cols: x.rank, Stride: x.most, Data: x.f})
		return &all
	}
	out := mat.NewDense(len(of), x.rank, nil)
	for a, i := range of {
		out.SetRow(a, x.f[i*x.most:][:x.rank])
	}
	return out
}

// float64Cost is what an operation of a refit in float64 takes beside one of float32 products.
const float64Cost = 16

// RefitFLOPs is about the operations of one refit of n rows of so many columns, of which some
// are kept, by moments from so many tokens; those of float64 count as the float32 ones that
// take as long, but for small refits, which take no time.
func RefitFLOPs(n, kept, width, tokens int) int64 {
	k, gone, w, r := int64(kept), int64(n-kept), int64(width), int64(min(n, tokens))
	if kept >= fastRefit && few(kept, float64(tokens)) {
		return float64Cost*(r*r*int64(n)+2*r*r*k+r*r*r/3+2*r*r*w) + 2*r*gone*w + 2*r*k*w
	}
	return k*k*k/3 + 2*k*gone*w + 2*k*k*w
}

// FewTokensBytes is the memory that a refit of n rows of so many columns by moments from few
// tokens takes, at most; 0 where tokens are not few.
func FewTokensBytes(n, width, tokens int) int64 {
	if !few(n, float64(tokens)) {
		return 0
	}
	rows, w, r := int64(n), int64(width), int64(tokens)
	return 20*rows*r + 24*r*r + 16*r*w + 4*rows*w
}
