package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestGateDotHeads compares with the sum written out, on every path.
func TestGateDotHeads(t *testing.T) {
	s := AttnShape{B: 2, T: 5, G: 2, R: 3, QK: 6, VO: 4}
	rng := rand.New(rand.NewPCG(3, 3))
	x, dx := make([]float32, s.B*s.T*s.Width()), make([]float32, s.B*s.T*s.Width())
	for i := range x {
		x[i], dx[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
	}
	pool := NewPool(2)
	defer pool.Close()
	for _, shared := range []bool{false, true} {
		for _, width := range []int{1, 2} {
			units, lists := s.QK/width, s.G
			if shared {
				lists = 1
			}
			want := make([]float64, s.B*lists*units)
			for row := range s.B * s.T {
				for h := range s.G * (s.R + 1) {
					g := h / s.R
					if h >= s.G*s.R {
						g = h - s.G*s.R
					}
					if shared {
						g = 0
					}
					for c := range s.QK {
						at := row*s.Width() + h*s.QK + c
						want[(row/s.T*lists+g)*units+c/width] += float64(x[at]) * float64(dx[at])
					}
				}
			}
			got := make([]float32, len(want))
			GateDotHeads(pool, got, Rows{F32: x}, dx, s, width, shared)
			for i, w := range want {
				if math.Abs(float64(got[i])-w) > 1e-4 {
					t.Fatalf("shared %t, width %d: r[%d] is %g, expected %g", shared, width, i, got[i], w)
				}
			}
		}
	}
}
