package kernel

import "testing"

func TestScaleColumns(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {7, 5}, {130, 67}} {
		N, E := s[0], s[1]
		conform(t, op{
			name: "scalecolumns", in: []int{N * E, E}, out: []int{N * E}, tol: 1e-5,
			forward: func(p *Pool, out, in [][]float32) { ScaleColumns(p, out[0], in[0], in[1], N, E) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, N*E)
				for i := range y {
					y[i] = in[0][i] * in[1][i%E]
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				ScaleColumns(p, din[0], dout, in[1], N, E)
				ScaleColumnsGrad(p, din[1], dout, in[0], N, E)
			},
			diff: []int{0, 1}, adds: []int{1},
		})
	}
}

func TestClassMean(t *testing.T) {
	for _, s := range [][3]int{{1, 2, 1}, {3, 4, 7}, {2, 50, 33}} { // B, T, E
		B, T, E := s[0], s[1], s[2]
		conform(t, op{
			name: "classmean", in: []int{B * T * E}, out: []int{B * 2 * E}, tol: 1e-5,
			forward: func(p *Pool, out, in [][]float32) { ClassMean(p, out[0], in[0], B, T, E) },
			reference: func(in [][]float64) [][]float64 {
				y := make([]float64, B*2*E)
				for b := range B {
					for n, v := range in[0][b*T*E : (b+1)*T*E] {
						if n < E {
							y[b*2*E+n] = v
						} else {
							y[b*2*E+E+n%E] += v / float64(T-1)
						}
					}
				}
				return [][]float64{y}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				ClassMeanBackward(p, din[0], dout, B, T, E)
			},
			diff: []int{0},
		})
	}
}
