package kernel

import (
	"math"
	"testing"
)

// ropeSlow rotates the first pairs of q and k of every row in float64; turn gives the
// sine and cosine of pair j of K/V head g at row n.
func ropeSlow(x []float64, s AttnShape, pairs int, gain float64, turn func(n, g, j int) (sin, cos float64)) []float64 {
	y := append([]float64(nil), x...)
	w := s.Width()
	for n := range s.B * s.T {
		for h := range s.G*s.R + s.G { // query heads, then key heads
			g := h / s.R
			if h >= s.G*s.R {
				g = h - s.G*s.R
			}
			for j := range pairs {
				at := n*w + h*s.QK + 2*j
				sin, cos := turn(n, g, j)
				y[at] = gain * (x[at]*cos - x[at+1]*sin)
				y[at+1] = gain * (x[at+1]*cos + x[at]*sin)
			}
		}
	}
	return y
}

func TestRoPE(t *testing.T) {
	for _, c := range []struct {
		s     AttnShape
		pairs int
	}{
		{AttnShape{B: 1, T: 1, G: 1, R: 1, QK: 2, VO: 1}, 1},
		{AttnShape{B: 2, T: 5, G: 2, R: 1, QK: 6, VO: 3}, 3},
		{AttnShape{B: 2, T: 9, G: 2, R: 3, QK: 38, VO: 5}, 19},
		{AttnShape{B: 1, T: 70, G: 3, R: 2, QK: 64, VO: 64}, 32},
		{AttnShape{B: 2, T: 6, G: 2, R: 2, QK: 37, VO: 5}, 9}, // a part of a head's columns, and an odd width
		{AttnShape{B: 1, T: 3, G: 1, R: 1, QK: 5, VO: 2}, 0},
	} {
		for _, perHead := range []bool{false, true} {
			const tokens = 80
			s, pairs := c.s, c.pairs
			gain := float32(1)
			if perHead {
				gain = 1.2
			}
			freqs := make([]float32, pairs)
			if perHead {
				freqs = make([]float32, s.G*pairs)
			}
			for i := range freqs {
				freqs[i] = float32(math.Pow(10000, -float64(i)/float64(len(freqs))))
			}
			rot := Rotary{make([]float32, tokens*len(freqs)), make([]float32, tokens*len(freqs)), pairs, perHead}
			RoPETable(rot.Cos, rot.Sin, freqs, tokens, gain)
			n := s.B * s.T * s.Width()
			reference := func(at func(n int) int) func(in [][]float64) [][]float64 {
				turns := make([][2]float64, s.B*s.T*len(freqs)) // differences ask for the same ones many times
				for i := range turns {
					turns[i][0], turns[i][1] = math.Sincos(float64(at(i/len(freqs))) * float64(freqs[i%len(freqs)]))
				}
				return func(in [][]float64) [][]float64 {
					return [][]float64{ropeSlow(in[0], s, pairs, float64(gain), func(n, g, j int) (sin, cos float64) {
						if perHead {
							j += g * pairs
						}
						x := turns[n*len(freqs)+j]
						return x[0], x[1]
					})}
				}
			}
			given := make([]int32, s.B*s.T)
			for i := range given {
				given[i] = int32(i*7%11 + i/4)
			}
			for name, pos := range map[string][]int32{"rope": nil, "rope at given positions": given} {
				at := func(n int) int { return n % s.T }
				if pos != nil {
					at = func(n int) int { return int(pos[n]) }
				}
				o := op{
					name: name, in: []int{n}, out: []int{n}, tol: 1e-6,
					forward:   func(p *Pool, out, in [][]float32) { RoPEForward(p, out[0], in[0], rot, s, pos) },
					reference: reference(at),
					backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
						RoPEBackward(p, din[0], dout, rot, s, pos)
					},
					diff: []int{0},
				}
				conform(t, o)

				o.name += " in place"
				o.forward = func(p *Pool, out, in [][]float32) {
					copy(out[0], in[0])
					RoPEForward(p, out[0], out[0], rot, s, pos)
				}
				conform(t, o)
			}

			first := []int32{7, 2}[:s.B]
			conform(t, op{
				name: "rope from first positions", in: []int{n}, out: []int{n}, tol: 1e-6,
				forward:   func(p *Pool, out, in [][]float32) { RoPEAt(p, out[0], in[0], rot, s, first) },
				reference: reference(func(n int) int { return int(first[n/s.T]) + n%s.T }),
			})
		}
	}
}
