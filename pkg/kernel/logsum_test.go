package kernel

import (
	"math"
	"testing"
)

// TestLogSumExp compares with the definition, in float64.
func TestLogSumExp(t *testing.T) {
	inf := float32(math.Inf(-1))
	eachPath(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 2048, 5003} {
			for _, m := range []float32{1, 0.5, 3} {
				x, intact := fence(t, n)
				copy(x, noise(n))
				x[n/2] = inf
				if n == 1 {
					x[0] = 40
				}
				sum := 0.0
				for _, v := range x {
					sum += math.Exp(float64(v) * float64(m))
				}
				if got, want := LogSumExp(x, m), math.Log(sum); !(math.Abs(got-want) < 2e-6*max(1, math.Abs(want))) {
					t.Errorf("%d logits times %g: %g, expected %g", n, m, got, want)
				}
				if !intact() {
					t.Error("wrote before the logits")
				}
			}
		}
		if got := LogSumExp([]float32{inf, inf}, 1); !math.IsInf(got, -1) {
			t.Errorf("of nothing likely: %g", got)
		}
	})
}
