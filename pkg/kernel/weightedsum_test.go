package kernel

import "testing"

func TestWeightedSum(t *testing.T) {
	conform(t, op{
		name: "WeightedSum", in: []int{9001, 9001}, out: []int{9001}, tol: 1e-6,
		forward: func(p *Pool, out, in [][]float32) { WeightedSum(p, out[0], in[0], 0.5, in[1], -3) },
		reference: func(in [][]float64) [][]float64 {
			y := make([]float64, len(in[0]))
			for i := range y {
				y[i] = 0.5*in[0][i] - 3*in[1][i]
			}
			return [][]float64{y}
		},
	})
}
