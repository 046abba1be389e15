package coupled

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"gonum.org/v1/gonum/mat"
)

// randomSPD is x^T x / rows + ridge of correlated columns, and its lower triangle in float32.
func randomSPD(n, rows int, ridge float64) (*mat.SymDense, []float32) {
	x := hidden(rows, n, 3)
	m, low := mat.NewSymDense(n, nil), make([]float32, n*n)
	for i := range n {
		for j := range i + 1 {
			sum := 0.0
			for r := range rows {
				sum += float64(x[r*n+i]) * float64(x[r*n+j])
			}
			if sum /= float64(rows); i == j {
				sum += ridge
			}
			low[i*n+j] = float32(sum)
			m.SetSym(i, j, float64(low[i*n+j]))
		}
	}
	return m, low
}

// TestSPD: the fast solution is that of float64, for sizes around the block's.
func TestSPD(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, n := range []int{1, 7, spdBlock - 1, spdBlock, spdBlock + 1, 2*spdBlock + 40} {
		const width = 5
		m, low := randomSPD(n, 2*n+10, 1e-2)
		rng := rand.New(rand.NewPCG(1, 9))
		x, right := make([]float32, n*width), mat.NewDense(n, width, nil)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
			right.Set(i/width, i%width, float64(x[i]))
		}
		var c mat.Cholesky
		var want mat.Dense
		if !c.Factorize(m) || c.SolveTo(&want, right) != nil {
			t.Fatal("the reference does not solve")
		}
		s := spd{pool: pool, a: low, n: n}
		if !s.factorize() {
			t.Fatalf("%d: not positive definite", n)
		}
		s.solve(x, width)
		size, err := 0.0, 0.0
		for i, v := range x {
			w := want.At(i/width, i%width)
			size, err = size+w*w, err+(float64(v)-w)*(float64(v)-w)
		}
		// The condition is about 1e4.
		if !(math.Sqrt(err) <= 2e-3*math.Sqrt(size)) {
			t.Errorf("%d: relative error %g", n, math.Sqrt(err/size))
		}
	}
	bad := []float32{1, 0, 2, 1}
	if s := (spd{pool: pool, a: bad, n: 2}); s.factorize() {
		t.Error("a matrix that is not positive definite was factorized")
	}
}

// refitCase is a cut of a third of n columns, with moments of rows of activations.
func refitCase(n, width, rows int, pool *kernel.Pool) (f *fit, x []float32) {
	x = hidden(rows, n, 5)
	f = &fit{moment: newMoment(n, 1), width: width, rows: make([]float32, n*width), pool: pool}
	f.moment.add(x, rows, n, func(c []float32, n int, x []float32, rows, stride int) {
		side := kernel.Matrix{Data: x, Rows: rows, Cols: n, Stride: stride}
		kernel.MatMul(pool, kernel.Mat(c, n, n), side, side, kernel.Product{TransA: true, Accumulate: true})
	})
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range f.rows {
		f.rows[i] = float32(rng.NormFloat64())
	}
	for i := range n {
		if rng.IntN(3) > 0 {
			f.kept = append(f.kept, i)
		} else {
			f.gone = append(f.gone, i)
		}
	}
	return f, x
}

// TestFastRefit: a refit by float32 products leaves as small an error on the activations as
// one in float64, with and without a bias, from more tokens than columns and from fewer: up to a
// thousandth of it, or a millionth of the error without a refit, which is what float32 sums leave of moments.
func TestFastRefit(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	const n, width = 400, 6
	type solver = func(mean []float64, ridge float64) (func(i, j int) float64, error)
	for _, c := range []struct {
		name string
		rows int
		fast func(f *fit) solver
	}{
		{"fast", 900, func(f *fit) solver { return f.solveFast }},
		{"low rank, all of it", 900, func(f *fit) solver { return f.solveLow }},
		{"low rank", 120, func(f *fit) solver { return f.solveLow }},
		{"low rank of one token", 1, func(f *fit) solver { return f.solveLow }},
	} {
		base, x := refitCase(n, width, c.rows, pool)
		for _, bias := range [][]float32{nil, make([]float32, width)} {
			if c.rows == 1 && bias != nil { // centred, nothing is left
				continue
			}
			var errs [2]float64
			for i := range errs {
				f := *base
				f.rows, f.bias = slices.Clone(base.rows), slices.Clone(bias)
				solve := f.solve
				if i == 1 {
					solve = c.fast(&f)
				}
				mean := f.moment.mean(0, n)
				change, err := solve(mean, 1e-3)
				if err != nil {
					t.Fatal(err)
				}
				if f.bias != nil {
					f.shift(mean, f.kept, -1, change)
					f.shift(mean, f.gone, 1, func(i, j int) float64 { return float64(f.rows[f.gone[i]*width+j]) })
				}
				for i, r := range f.kept {
					for j := range width {
						f.rows[r*width+j] += float32(change(i, j))
					}
				}
				errs[i] = consumerError(x, base.rows, f.rows, bias, f.bias, f.kept, width)
			}
			none := consumerError(x, base.rows, base.rows, nil, nil, base.kept, width)
			if !(math.Abs(errs[1]-errs[0]) <= 1e-3*errs[0]+1e-6*none) || errs[0] > 0.5*none {
				t.Errorf("%s, bias %t: error %g in float64, %g fast, %g without a refit", c.name, bias != nil, errs[0], errs[1], none)
			}
		}
	}
}

// TestLowRank: the factor of moments has the rank that they have, and makes them up to what a
// square part of them amplifies the rounding of float32 to.
func TestLowRank(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	const n = 150
	for _, rows := range []int{1, 31, 70, 400} {
		f, _ := refitCase(n, 1, rows, pool)
		mean := f.moment.mean(0, n)
		low := newLowRank(n, f.rankBound(), func(i, j int) float64 { return f.covariance(mean, i, j) })
		if low.rank != min(n, rows) {
			t.Errorf("%d rows: rank %d, expected %d", rows, low.rank, min(n, rows))
		}
		all := low.columns(upTo(n))
		for i := range n {
			for j := range n {
				sum := 0.0
				for c := range low.rank {
					sum += all.At(i, c) * all.At(j, c)
				}
				want := f.covariance(mean, i, j)
				if size := math.Sqrt(f.covariance(mean, i, i) * f.covariance(mean, j, j)); !(math.Abs(sum-want) <= 1e-4*size) {
					t.Fatalf("%d rows: element %d, %d is %g, expected %g", rows, i, j, sum, want)
				}
			}
		}
	}
}

// BenchmarkRefit is a refit of one layer's feed-forward network of Qwen2.5-0.5B's shape, as it
// is solved by moments of so many tokens.
func BenchmarkRefit(b *testing.B) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	f, _ := refitCase(4864, 896, 512, pool)
	mean := f.moment.mean(0, len(f.moment.sum))
	for name, solve := range map[string]func([]float64, float64) (func(i, j int) float64, error){"float64": f.solve, "low rank": f.solveLow} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := solve(mean, DefaultRidge); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
