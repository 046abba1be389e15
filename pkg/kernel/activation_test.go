package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// wide spreads the first input over the range where an activation bends.
func wide(r *rand.Rand, in [][]float32) {
	for i := range in[0] {
		in[0][i] *= 3
	}
}

func TestGELU(t *testing.T) {
	for _, tanh := range []bool{true, false} {
		for _, n := range []int{1, 3, 16, 47, 5000} {
			conform(t, op{
				name: "gelu", in: []int{n}, out: []int{n}, tol: 2e-6, fill: wide,
				forward: func(p *Pool, out, in [][]float32) { GELUForward(p, out[0], in[0], tanh) },
				reference: func(in [][]float64) [][]float64 {
					y := make([]float64, n)
					for i, x := range in[0] {
						y[i] = x * 0.5 * math.Erfc(-x/math.Sqrt2)
						if tanh {
							y[i] = 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
						}
					}
					return [][]float64{y}
				},
				backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
					GELUBackward(p, din[0], dout, in[0], tanh)
				},
				diff: []int{0},
			})
		}
	}
}

func TestSwiGLU(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {3, 5}, {7, 61}, {2, 128}, {40, 100}} {
		N, F := s[0], s[1]
		conform(t, op{
			name: "swiglu", in: []int{N * 2 * F}, out: []int{N * F}, tol: 2e-6, fill: wide,
			forward: func(p *Pool, out, in [][]float32) { SwiGLUForward(p, out[0], in[0], N, F) },
			reference: func(in [][]float64) [][]float64 {
				h := make([]float64, N*F)
				for n := range N {
					for f := range F {
						g, u := in[0][n*2*F+f], in[0][n*2*F+F+f]
						h[n*F+f] = g / (1 + math.Exp(-g)) * u
					}
				}
				return [][]float64{h}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				SwiGLUBackward(p, din[0], dout, in[0], N, F)
			},
			diff: []int{0},
		})
	}
}
