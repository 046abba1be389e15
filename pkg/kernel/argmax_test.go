package kernel

import (
	"math"
	"testing"
)

// TestArgmax compares with the definition; of equal values the first counts.
func TestArgmax(t *testing.T) {
	inf := float32(math.Inf(1))
	eachPath(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 7, 8, 2048, 2049, 5003} {
			x, _ := fence(t, n)
			copy(x, noise(n))
			for round := range 4 {
				switch {
				case n < 3 || round == 0:
				case round == 1:
					x[n-1], x[n/2] = 9, 9
				case round == 2:
					x[n/3] = inf
				default:
					for i := range x {
						x[i] = -inf
					}
				}
				want := 0
				for i, v := range x {
					if v > x[want] {
						want = i
					}
				}
				if got := Argmax(x); got != want {
					t.Errorf("%d values, round %d: %d, expected %d", n, round, got, want)
				}
			}
		}
		if got := Argmax([]float32{nan32, nan32}); got != 0 {
			t.Errorf("of no numbers: %d", got)
		}
	})
}
