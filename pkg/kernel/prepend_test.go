package kernel

import "testing"

func TestPrepend(t *testing.T) {
	for _, s := range [][4]int{{1, 1, 1, 1}, {3, 2, 4, 7}, {2, 1, 49, 33}} { // B, K, T, E
		B, K, T, E := s[0], s[1], s[2], s[3]
		conform(t, op{
			name: "prepend", in: []int{B * T * E, K * E}, out: []int{B * (K + T) * E}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { Prepend(p, out[0], in[0], in[1], B, K, T, E) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, B*(K+T)*E)
				for i := range y {
					b, row, e := i/((K+T)*E), i/E%(K+T), i%E
					if row < K {
						y[i] = in[1][row*E+e]
					} else {
						y[i] = in[0][(b*T+row-K)*E+e]
					}
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				PrependBackward(p, din[0], dout, B, K, T, E)
				PrependGrad(p, din[1], dout, B, K, T, E)
			},
			diff: []int{0, 1}, adds: []int{1},
		})
	}
}

func TestSelectRow(t *testing.T) {
	for _, s := range [][4]int{{1, 1, 1, 0}, {3, 4, 7, 0}, {2, 50, 33, 49}} { // B, T, E, at
		B, T, E, at := s[0], s[1], s[2], s[3]
		conform(t, op{
			name: "selectrow", in: []int{B * T * E}, out: []int{B * E}, tol: 1e-6,
			forward: func(p *Pool, out, in [][]float32) { SelectRow(p, out[0], in[0], B, T, E, at) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, B*E)
				for i := range y {
					y[i] = in[0][(i/E*T+at)*E+i%E]
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				SelectRowBackward(p, din[0], dout, B, T, E, at)
			},
			diff: []int{0},
		})
	}
}
