package kernel

import (
	"math"
	"testing"
)

// TestVectorLoss: texts of 3, 1 and 0 tokens of 4, the mean of them and the first, by the
// suite; and 1 - cos by hand.
func TestVectorLoss(t *testing.T) {
	const B, T, E = 3, 4, 5
	predicted := []int32{0}
	starts := []int32{0, 0, 0, T, 0, T, T, T, T, T, T, T}
	for _, first := range []bool{false, true} {
		s := VectorShape{B: B, T: T, E: E, First: first}
		conform(t, op{
			name: "vector loss", in: []int{B * T * E, B * E}, out: []int{B, B * E}, tol: 1e-5,
			forward: func(p *Pool, out, in [][]float32) { VectorLoss(p, out[0], out[1], in[0], in[1], starts, s) },
			reference: func(in [][]float64) [][]float64 {
				nll, grad := vectorSlow(in[0], in[1], starts, s)
				return [][]float64{nll, grad}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				for b := range B { // each text has a factor of its own
					one := VectorShape{B: 1, T: T, E: E, First: first}
					VectorLossBackward(p, din[0][b*T*E:][:T*E], out[1][b*E:][:E], starts[b*T:][:T], predicted, dout[b], one)
				}
			},
			diff: []int{0},
		})
	}
	p := NewPool(1)
	defer p.Close()
	nll, grad, dx := make([]float32, 2), make([]float32, 4), []float32{9, 9, 9, 9}
	VectorLoss(p, nll, grad, []float32{3, 4, 0, 0}, []float32{0.6, 0.8, 1, 0}, nil, VectorShape{B: 2, T: 1, E: 2})
	if nll[0] > 1e-7 || nll[1] != 0.5 || grad[2] != 0 {
		t.Errorf("the same direction is %g away, nothing from a target of length 1 %g with gradient %g", nll[0], nll[1], grad[2])
	}
	VectorLossBackward(p, dx, []float32{1, 2, 3, 4}, nil, []int32{-1, 0}, 2, VectorShape{B: 2, T: 1, E: 2})
	if dx[0] != 0 || dx[3] != 8 {
		t.Errorf("gradient is %v, expected 0 where the target is negative", dx)
	}
}

func vectorSlow(x, v []float64, starts []int32, s VectorShape) (nll, grad []float64) {
	nll, grad = make([]float64, s.B), make([]float64, s.B*s.E)
	for b := range s.B {
		mean, n := make([]float64, s.E), 0.0
		for t := range s.T {
			if int(starts[b*s.T+t]) >= s.T || s.First && t > 0 {
				continue
			}
			n++
			for c := range mean {
				mean[c] += x[(b*s.T+t)*s.E+c]
			}
		}
		length := 0.0
		for c := range mean {
			mean[c] /= max(1, n)
			length += mean[c] * mean[c]
		}
		length = math.Sqrt(length)
		cos := 0.0
		for c := range mean {
			u := 0.0
			if length > 0 {
				u = mean[c] / length
			}
			cos += u * v[b*s.E+c]
			nll[b] += (u - v[b*s.E+c]) * (u - v[b*s.E+c]) / 2
		}
		for c := range mean {
			if length > 0 {
				grad[b*s.E+c] = (mean[c]/length*cos - v[b*s.E+c]) / length / n
			}
		}
	}
	return nll, grad
}
