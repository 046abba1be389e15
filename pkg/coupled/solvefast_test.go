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

// TestFastRefit: a refit by float32 products leaves as small an error on the activations as
// one in float64, with and without a bias.
func TestFastRefit(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	const n, width, rows = 400, 6, 900
	x := hidden(rows, n, 5)
	m := newMoment(n, 1)
	m.add(x, rows, n, addProduct)
	rng := rand.New(rand.NewPCG(4, 4))
	dense := make([]float32, n*width)
	for i := range dense {
		dense[i] = float32(rng.NormFloat64())
	}
	var kept, gone []int
	for i := range n {
		if rng.IntN(3) > 0 {
			kept = append(kept, i)
		} else {
			gone = append(gone, i)
		}
	}
	for _, bias := range [][]float32{nil, make([]float32, width)} {
		var errs [2]float64
		for i, fast := range []bool{false, true} {
			f := &fit{moment: m, width: width, kept: kept, gone: gone, rows: slices.Clone(dense), bias: slices.Clone(bias), pool: pool}
			solve := f.solve
			if fast {
				solve = f.solveFast
			}
			mean := m.mean(0, n)
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
			errs[i] = consumerError(x, dense, f.rows, bias, f.bias, kept, width)
		}
		none := consumerError(x, dense, dense, nil, nil, kept, width)
		if !(math.Abs(errs[1]-errs[0]) <= 1e-3*errs[0]) || errs[0] > 0.5*none {
			t.Errorf("bias %t: error %g in float64, %g fast, %g without a refit", bias != nil, errs[0], errs[1], none)
		}
	}
}
