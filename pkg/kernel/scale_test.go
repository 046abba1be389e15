package kernel

import "testing"

func TestScale(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 1000, 50001} {
		conform(t, op{
			name: "scale", in: []int{n}, out: []int{n}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { Scale(p, out[0], in[0], -1.5) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, n)
				for i := range y {
					y[i] = -1.5 * in[0][i]
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) { Scale(p, din[0], dout, -1.5) },
			diff:     []int{0},
		})
	}
}
