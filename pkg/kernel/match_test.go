package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMatch(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		rng := rand.New(rand.NewPCG(4, 4))
		for _, n := range []int{1, 7, 33, 20000} {
			x, target, diff, dx := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			var far, size float64
			for i := range x {
				x[i], target[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
				far += (float64(x[i]) - float64(target[i])) * (float64(x[i]) - float64(target[i]))
				size += float64(target[i]) * float64(target[i])
			}
			ratio, got := MatchError(p, diff, x, target)
			if math.Abs(ratio-far/size) > 1e-6*far/size || math.Abs(got-size) > 1e-6*size { // float32 squares, summed in float64
				t.Errorf("%d values: %g of %g, expected %g of %g", n, ratio, got, far/size, size)
			}
			MatchGradient(p, dx, x, target, 0.3)
			for i := range dx {
				if want := 0.3 * (x[i] - target[i]); math.Abs(float64(dx[i]-want)) > 1e-6 {
					t.Fatalf("gradient %d is %g, expected %g", i, dx[i], want)
				}
			}
		}
		if ratio, size := MatchError(p, make([]float32, 2), []float32{1, 2}, make([]float32, 2)); ratio != 0 || size != 0 {
			t.Errorf("against zeros: %g of %g, expected 0", ratio, size)
		}
	})
}
