package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

var normShapes = [][2]int{{1, 1}, {3, 2}, {5, 7}, {19, 64}, {40, 37}, {6, 333}, {2, 1024}}

// shifted gives rows a mean and a spread that rounding must survive.
func shifted(r *rand.Rand, in [][]float32) {
	for i := range in[0] {
		in[0][i] = in[0][i]*3 + 5
	}
}

func TestLayerNorm(t *testing.T) {
	const eps = 1e-5
	for _, s := range normShapes {
		N, E := s[0], s[1]
		for _, bias := range []bool{true, false} {
			in, diff := []int{N * E, E, E}, []int{0, 1, 2}
			if !bias {
				in, diff = in[:2], diff[:2]
			}
			if E < 3 {
				diff = diff[1:] // x's gradient is 0 or the difference of large numbers
			}
			b := func(s [][]float32) []float32 {
				if bias {
					return s[2]
				}
				return nil
			}
			conform(t, op{
				name: "layernorm", in: in, out: []int{N * E, N, N}, tol: 5e-6, gradTol: 2e-5, fill: shifted,
				forward: func(p *Pool, out, in [][]float32) {
					LayerNormForward(p, out[0], out[1], out[2], in[0], in[1], b(in), N, E, eps)
				},
				reference: func(in [][]float64) [][]float64 {
					y, mean, rstd := make([]float64, N*E), make([]float64, N), make([]float64, N)
					for n := range N {
						x := in[0][n*E:][:E]
						for _, v := range x {
							mean[n] += v / float64(E)
						}
						var sq float64
						for _, v := range x {
							sq += (v - mean[n]) * (v - mean[n])
						}
						rstd[n] = 1 / math.Sqrt(sq/float64(E)+eps)
						for i, v := range x {
							y[n*E+i] = (v - mean[n]) * rstd[n] * in[1][i]
							if bias {
								y[n*E+i] += in[2][i]
							}
						}
					}
					return [][]float64{y, mean, rstd}
				},
				backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
					LayerNormBackward(p, din[0], dout, in[0], in[1], out[1], out[2], N, E)
					LayerNormGrad(p, din[1], b(din), dout, in[0], out[1], out[2], N, E)
				},
				diff: diff, adds: []int{1, 2}[:len(in)-1],
			})
		}
	}
}

func TestRMSNorm(t *testing.T) {
	const eps = 1e-5
	for _, s := range normShapes {
		N, E := s[0], s[1]
		diff := []int{0, 1}
		if E < 3 {
			diff = diff[1:]
		}
		conform(t, op{
			name: "rmsnorm", in: []int{N * E, E}, out: []int{N * E, N}, tol: 2e-6, gradTol: 2e-5,
			forward: func(p *Pool, out, in [][]float32) {
				RMSNormForward(p, out[0], out[1], in[0], in[1], N, E, eps)
			},
			reference: func(in [][]float64) [][]float64 {
				y, rstd := make([]float64, N*E), make([]float64, N)
				for n := range N {
					x := in[0][n*E:][:E]
					var sq float64
					for _, v := range x {
						sq += v * v
					}
					rstd[n] = 1 / math.Sqrt(sq/float64(E)+eps)
					for i, v := range x {
						y[n*E+i] = v * rstd[n] * in[1][i]
					}
				}
				return [][]float64{y, rstd}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				RMSNormBackward(p, din[0], dout, in[0], in[1], out[1], N, E)
				RMSNormGrad(p, din[1], dout, in[0], out[1], N, E)
			},
			diff: diff, adds: []int{1},
		})
	}
}
