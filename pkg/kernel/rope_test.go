package kernel

import (
	"math"
	"testing"
)

// ropeSlow rotates q and k of every row in float64; angle gives the angle of pair
// j of K/V head g at token n.
func ropeSlow(x []float64, s AttnShape, angle func(n, g, j int) float64) []float64 {
	y := append([]float64(nil), x...)
	w := s.Width()
	for n := range s.B * s.T {
		for h := range s.G*s.R + s.G { // query heads, then key heads
			g := h / s.R
			if h >= s.G*s.R {
				g = h - s.G*s.R
			}
			for j := range s.QK / 2 {
				c, at := angle(n, g, j), n*w+h*s.QK+2*j
				sin, cos := math.Sincos(c)
				y[at] = x[at]*cos - x[at+1]*sin
				y[at+1] = x[at+1]*cos + x[at]*sin
			}
		}
	}
	return y
}

func TestRoPE(t *testing.T) {
	for _, s := range []AttnShape{
		{B: 1, T: 1, G: 1, R: 1, QK: 2, VO: 1},
		{B: 2, T: 5, G: 2, R: 1, QK: 6, VO: 3},
		{B: 2, T: 9, G: 2, R: 3, QK: 38, VO: 5},
		{B: 1, T: 70, G: 3, R: 2, QK: 64, VO: 64},
	} {
		for _, perHead := range []bool{false, true} {
			const pos0, tokens = 4, 80
			pairs := s.QK / 2
			freqs := make([]float32, pairs)
			if perHead {
				freqs = make([]float32, s.G*pairs)
			}
			for i := range freqs {
				freqs[i] = float32(math.Pow(10000, -float64(i)/float64(len(freqs))))
			}
			cos, sin := make([]float32, tokens*len(freqs)), make([]float32, tokens*len(freqs))
			RoPETable(cos, sin, freqs, tokens)
			n := s.B * s.T * s.Width()
			freq := func(g, j int) float64 {
				if perHead {
					j += g * pairs
				}
				return float64(freqs[j])
			}
			o := op{
				name: "rope", in: []int{n}, out: []int{n}, tol: 1e-6,
				forward: func(p *Pool, out, in [][]float32) { RoPEForward(p, out[0], in[0], cos, sin, s, perHead, pos0) },
				reference: func(in [][]float64) [][]float64 {
					return [][]float64{ropeSlow(in[0], s, func(n, g, j int) float64 { return float64(pos0+n%s.T) * freq(g, j) })}
				},
				backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
					RoPEBackward(p, din[0], dout, cos, sin, s, perHead, pos0)
				},
				diff: []int{0},
			}
			conform(t, o)

			o.name = "in place"
			o.forward = func(p *Pool, out, in [][]float32) {
				copy(out[0], in[0])
				RoPEForward(p, out[0], out[0], cos, sin, s, perHead, pos0)
			}
			conform(t, o)

			pos := []int32{7, 2}[:s.B]
			o.name, o.backward, o.diff = "positions", nil, nil
			o.forward = func(p *Pool, out, in [][]float32) { RoPEAt(p, out[0], in[0], cos, sin, s, perHead, pos) }
			o.reference = func(in [][]float64) [][]float64 {
				return [][]float64{ropeSlow(in[0], s, func(n, g, j int) float64 { return float64(int(pos[n/s.T])+n%s.T) * freq(g, j) })}
			}
			conform(t, o)
		}
	}
}
