package blas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	gonumblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func noise(rng *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(rng.NormFloat64())
	}
	return s
}

func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-4*(1+math.Abs(float64(want[i])))) {
			t.Fatalf("%s: value %d is %g, expected %g", what, i, got[i], want[i])
		}
	}
}

// TestAgainstGonum compares products of random shapes, strides and factors; what
// lies between the rows of c stays as it is.
func TestAgainstGonum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	b := New(2)
	defer b.Close()
	forms := []gonumblas.Transpose{gonumblas.NoTrans, gonumblas.Trans, gonumblas.ConjTrans}
	factors := []float32{0, 1, -0.5, 2}
	for i := range 300 {
		m, n, k := 1+rng.IntN(40), 1+rng.IntN(40), 1+rng.IntN(40)
		tA, tB := forms[rng.IntN(3)], forms[rng.IntN(3)]
		alpha, beta := factors[rng.IntN(4)], factors[rng.IntN(4)]
		rowsA, colsA, rowsB, colsB := m, k, k, n
		if tA != gonumblas.NoTrans {
			rowsA, colsA = k, m
		}
		if tB != gonumblas.NoTrans {
			rowsB, colsB = n, k
		}
		lda, ldb, ldc := colsA+rng.IntN(3), colsB+rng.IntN(3), n+rng.IntN(3)
		a, bb, c := noise(rng, rowsA*lda), noise(rng, rowsB*ldb), noise(rng, m*ldc)
		if beta == 0 {
			c[0] = float32(math.NaN()) // is not read
		}
		want := append([]float32(nil), c...)
		gonum.Implementation{}.Sgemm(tA, tB, m, n, k, alpha, a, lda, bb, ldb, beta, want, ldc)
		b.Sgemm(tA, tB, m, n, k, alpha, a, lda, bb, ldb, beta, c, ldc)
		near(t, fmt.Sprintf("product %d: %c %c %d x %d x %d alpha %g beta %g", i, tA, tB, m, n, k, alpha, beta), c, want)

		x, y := noise(rng, max(m, k)), noise(rng, max(m, k))
		want = append([]float32(nil), y...)
		gonum.Implementation{}.Sgemv(tA, rowsA, colsA, alpha, a, lda, x, 1, beta, want, 1)
		b.Sgemv(tA, rowsA, colsA, alpha, a, lda, x, 1, beta, y, 1)
		out := rowsA
		if tA != gonumblas.NoTrans {
			out = colsA
		}
		near(t, fmt.Sprintf("vector product %d", i), y[:out], want[:out]) // gonum's may clear what is behind
	}
}

// TestRefusesAsGonumDoes: arguments that do not fit panic and change nothing.
func TestRefusesAsGonumDoes(t *testing.T) {
	b := New(1)
	defer b.Close()
	for name, f := range map[string]func(){
		"short a": func() {
			b.Sgemm('N', 'N', 2, 2, 2, 1, make([]float32, 3), 2, make([]float32, 4), 2, 0, make([]float32, 4), 2)
		},
		"stride": func() {
			b.Sgemm('N', 'N', 2, 2, 2, 1, make([]float32, 4), 1, make([]float32, 4), 2, 0, make([]float32, 4), 2)
		},
		"form": func() {
			b.Sgemm('X', 'N', 2, 2, 2, 1, make([]float32, 4), 2, make([]float32, 4), 2, 0, make([]float32, 4), 2)
		},
		"negative": func() { b.Sgemv('N', -1, 2, 1, make([]float32, 4), 2, make([]float32, 2), 1, 0, make([]float32, 2), 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			f()
		}()
	}
}

// stockGraph is a graph of Gorgonia's own: the loss of two layers, on its own
// machine, and the gradients of both.
func stockGraph(t testing.TB, n int) (run func(), loss *gorgonia.Node, grads gorgonia.Nodes) {
	rng := rand.New(rand.NewPCG(2, 2))
	g := gorgonia.NewGraph()
	matrix := func(name string) *gorgonia.Node {
		data := noise(rng, n*n)
		for i := range data {
			data[i] /= float32(n)
		}
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(n, n),
			gorgonia.WithValue(tensor.New(tensor.WithShape(n, n), tensor.WithBacking(data))))
	}
	x, w1, w2 := matrix("x"), matrix("w1"), matrix("w2")
	h := gorgonia.Must(gorgonia.Tanh(gorgonia.Must(gorgonia.Mul(x, w1))))
	loss = gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Mul(h, w2))))))
	grads, err := gorgonia.Grad(loss, w1, w2)
	if err != nil {
		t.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(g)
	t.Cleanup(func() { vm.Close() })
	return func() {
		vm.Reset()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
	}, loss, grads
}

// TestStockGorgonia: Gorgonia's own machine computes the same through the seam.
func TestStockGorgonia(t *testing.T) {
	defer gorgonia.Use(gonum.Implementation{})
	b := New(2)
	defer b.Close()
	var want [][]float32
	for _, impl := range []gorgonia.BLAS{gonum.Implementation{}, b} {
		gorgonia.Use(impl)
		run, loss, grads := stockGraph(t, 48)
		run()
		got := [][]float32{{loss.Value().Data().(float32)}}
		for _, g := range grads {
			got = append(got, append([]float32(nil), g.Value().Data().([]float32)...))
		}
		if want == nil {
			want = got
			continue
		}
		for i := range want {
			near(t, fmt.Sprintf("value %d", i), got[i], want[i])
		}
	}
	if b.pool == nil {
		t.Error("Gorgonia did not multiply with ours")
	}
}

// BenchmarkStockGorgonia times a step of a graph of Gorgonia's own.
// BenchmarkSgemm reports GFLOP/s of a square product through the interface that
// Gorgonia's own operations call.
func BenchmarkSgemm(b *testing.B) {
	const n = 1024
	x, y, z := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	for i := range x {
		x[i], y[i] = float32(i%17)/17, float32(i%13)/13
	}
	ours := New(0)
	defer ours.Close()
	for b.Loop() {
		ours.Sgemm('N', 'N', n, n, n, 1, x, n, y, n, 0, z, n)
	}
	b.ReportMetric(2*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func BenchmarkStockGorgonia(b *testing.B) {
	defer gorgonia.Use(gonum.Implementation{})
	ours := New(0)
	defer ours.Close()
	for name, impl := range map[string]gorgonia.BLAS{"gonum": gonum.Implementation{}, "ours": ours} {
		b.Run(name, func(b *testing.B) {
			gorgonia.Use(impl)
			run, _, _ := stockGraph(b, 768)
			for b.Loop() {
				run()
			}
		})
	}
}
