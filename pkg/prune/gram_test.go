package prune

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// TestProductIsSymmetric: a large product by halves is that of all columns, and symmetric.
func TestProductIsSymmetric(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	const n, rows, stride = largeGram + 70, 9, largeGram + 75
	rng := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, rows*stride)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	got := make([]float32, n*n)
	product := (&Calibration{Pool: pool}).product()
	product(got, n, x, rows, stride)
	product(got, n, x, rows, stride) // adds
	for range 5000 {
		i, j := rng.IntN(n), rng.IntN(n)
		want := 0.0
		for r := range rows {
			want += 2 * float64(x[r*stride+i]) * float64(x[r*stride+j])
		}
		if g := got[i*n+j]; math.Abs(float64(g)-want) > 1e-4 || g != got[j*n+i] {
			t.Fatalf("row %d, column %d is %g and mirrored %g, expected %g", i, j, g, got[j*n+i], want)
		}
	}
}
