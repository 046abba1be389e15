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

// keepRows is a fit with the rows themselves for its moments.
func keepRows(f *fit, x []float32, rows int) *fit {
	out := *f
	out.moment = newRows(len(f.moment.sum), rows)
	out.moment.add(x, rows, len(f.moment.sum), nil)
	return &out
}

// TestFastRefit: a refit by float32 products leaves as small an error as one in float64, on the
// activations that it saw and on others, with and without a bias, by second moments and by the
// rows themselves, from more tokens than columns and from fewer: up to a thousandth of it, or a
// millionth of the error without a refit, which is what float32 sums leave of moments.
func TestFastRefit(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	const n, width = 400, 6
	unseen := hidden(200, n, 77)
	for _, c := range []struct {
		name  string
		rows  int
		fast  func(f *fit, x []float32) *fit
		solve func(f *fit) func(mean []float64, ridge float64) (func(i, j int) float64, error)
	}{
		{"moments", 900, func(f *fit, _ []float32) *fit { return f }, func(f *fit) func([]float64, float64) (func(i, j int) float64, error) { return f.solveFast }},
		{"rows", 120, nil, nil},
		{"rows, more than kept columns", 380, nil, nil},
		{"rows without a pool", 120, func(f *fit, x []float32) *fit {
			f = keepRows(f, x, 120)
			f.pool = nil
			return f
		}, nil},
		{"a row", 1, nil, nil},
	} {
		base, x := refitCase(n, width, c.rows, pool)
		fast := keepRows(base, x, c.rows)
		if c.fast != nil {
			fast = c.fast(base, x)
		}
		for _, bias := range [][]float32{nil, make([]float32, width)} {
			if c.rows == 1 && bias != nil { // centred, nothing is left
				continue
			}
			var errs, others [2]float64
			for i, of := range []*fit{base, fast} {
				f := *of
				f.rows, f.bias = slices.Clone(base.rows), slices.Clone(bias)
				solve := f.solve
				switch {
				case i == 1 && c.solve != nil:
					solve = c.solve(&f)
				case i == 1:
					solve = f.solveRows
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
				others[i] = consumerError(unseen, base.rows, f.rows, bias, f.bias, f.kept, width)
			}
			none := consumerError(x, base.rows, base.rows, nil, nil, base.kept, width)
			if !(math.Abs(errs[1]-errs[0]) <= 1e-3*errs[0]+1e-6*none) || errs[0] > 0.5*none {
				t.Errorf("%s, bias %t: error %g in float64, %g fast, %g without a refit", c.name, bias != nil, errs[0], errs[1], none)
			}
			if !(math.Abs(others[1]-others[0]) <= 1e-3*others[0]) {
				t.Errorf("%s, bias %t: error %g in float64 on other activations, %g fast", c.name, bias != nil, others[0], others[1])
			}
		}
	}
}

// TestRowsFollow: rows that are kept follow a cut, decay, saving and forgetting as second
// moments do.
func TestRowsFollow(t *testing.T) {
	const n, rows = 7, 5
	x := hidden(rows, n, 2)
	m, g := newRows(n, rows), newMoment(n, 1)
	m.add(x, rows, n, nil)
	g.add(x, rows, n, addProduct)
	same := func(what string) {
		t.Helper()
		cols := len(g.sum)
		got := newMoment(cols, 1)
		got.add(m.rows, m.tokens(), cols, addProduct)
		for i, want := range g.gram[0] {
			if math.Abs(float64(got.gram[0][i]-want)) > 1e-4 {
				t.Fatalf("%s: product %d is %g, expected %g", what, i, got.gram[0][i], want)
			}
		}
	}
	same("added")
	m.decay(0.5)
	g.decay(0.5)
	same("decayed")
	m.keep([]int{1, 4, 6})
	g.keep([]int{1, 4, 6})
	same("cut")
	var numbers []float32
	if err := m.visitRows(func(f64 []float64, f32 []float32) error {
		numbers = append(numbers, f32...)
		return nil
	}); err != nil || !slices.Equal(numbers, m.rows) {
		t.Errorf("%d numbers are visited (%v), expected %d", len(numbers), err, len(m.rows))
	}
	short := newRows(3, rows)
	for _, count := range []float64{rows + 1, -1, math.NaN()} {
		if err := short.visitRows(func(f64 []float64, _ []float32) error {
			if f64 != nil {
				f64[0] = count
			}
			return nil
		}); err == nil {
			t.Errorf("%g rows of at most %d were read", count, rows)
		}
	}
}

// BenchmarkRefit is a refit of one layer's feed-forward network of Qwen2.5-0.5B's shape by
// 512 tokens: in float64, by second moments, and by the rows.
func BenchmarkRefit(b *testing.B) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	f, x := refitCase(4864, 896, 512, pool)
	mean := f.moment.mean(0, len(f.moment.sum))
	rows := keepRows(f, x, 512)
	for name, solve := range map[string]func([]float64, float64) (func(i, j int) float64, error){"float64": f.solve, "moments": f.solveFast, "rows": rows.solveRows} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := solve(mean, DefaultRidge); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
