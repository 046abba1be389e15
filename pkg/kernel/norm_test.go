package kernel

import (
	"fmt"
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
					LayerNormForward(p, Rows{F32: out[0]}, out[1], out[2], in[0], in[1], b(in), N, E, eps)
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
	for i, s := range normShapes {
		N, E := s[0], s[1]
		o := RMSNorm{Eps: eps, PlusOne: i%2 == 1}
		one := 0.0
		if o.PlusOne {
			one = 1
		}
		diff := []int{0, 1}
		if E < 3 {
			diff = diff[1:]
		}
		conform(t, op{
			name: "rmsnorm", in: []int{N * E, E}, out: []int{N * E, N}, tol: 2e-6, gradTol: 2e-5,
			forward: func(p *Pool, out, in [][]float32) {
				RMSNormForward(p, Rows{F32: out[0]}, out[1], in[0], in[1], N, E, o)
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
						y[n*E+i] = v * rstd[n] * (one + in[1][i])
					}
				}
				return [][]float64{y, rstd}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				RMSNormBackward(p, din[0], dout, in[0], in[1], out[1], N, E, o)
				RMSNormGrad(p, din[1], dout, in[0], out[1], N, E)
			},
			diff: diff, adds: []int{1},
		})
	}
}

// qkNormSlow is QKNormForward by its definition.
func qkNormSlow(x, qgain, kgain []float64, s AttnShape, o QKNorm) (y, rstd []float64) {
	y = append([]float64(nil), x...)
	H, G, D := s.G*s.R, s.G, s.QK
	one := 0.0
	if o.PlusOne {
		one = 1
	}
	for n := range s.B * s.T {
		row, out := x[n*s.Width():][:(H+G)*D], y[n*s.Width():]
		mean := func(lo, hi, over int) float64 {
			if over == 0 {
				over = hi - lo
			}
			var sq float64
			for _, v := range row[lo:hi] {
				sq += v * v / float64(over)
			}
			r := 1 / math.Sqrt(sq+float64(o.Eps))
			rstd = append(rstd, r)
			return r
		}
		var all [2]float64
		if o.AllHeads {
			all = [2]float64{mean(0, H*D, o.Over), mean(H*D, (H+G)*D, o.Over/s.R)}
		}
		for h := range H + G {
			gain, head, r := qgain, h, all[0]
			if h >= H {
				gain, head, r = kgain, h-H, all[1]
			}
			if !o.AllHeads {
				r = mean(h*D, (h+1)*D, o.Over)
			}
			for j := range D {
				at := 0
				switch len(gain) / D {
				case 1:
				case H:
					at = h
				case G:
					if at = head; h < H {
						at = h / s.R
					}
				}
				if h >= H && len(gain)/D > 1 {
					at = head
				}
				out[h*D+j] = row[h*D+j] * r * (one + gain[at*D+j])
			}
		}
	}
	return y, rstd
}

func TestQKNorm(t *testing.T) {
	for _, c := range []struct {
		s            AttnShape
		qHeads, kHds int // heads that have gains of their own
		o            QKNorm
	}{
		{AttnShape{B: 1, T: 1, G: 1, R: 1, QK: 5, VO: 2}, 1, 1, QKNorm{Eps: 1e-5}},
		{AttnShape{B: 2, T: 9, G: 2, R: 3, QK: 16, VO: 8}, 1, 1, QKNorm{Eps: 1e-6}},
		{AttnShape{B: 2, T: 9, G: 2, R: 3, QK: 13, VO: 7}, 2, 2, QKNorm{Eps: 1e-6, PlusOne: true, Over: 20}},
		{AttnShape{B: 1, T: 40, G: 2, R: 2, QK: 37, VO: 8}, 4, 2, QKNorm{Eps: 1e-5, AllHeads: true}},
		{AttnShape{B: 1, T: 40, G: 3, R: 2, QK: 9, VO: 8}, 6, 3, QKNorm{Eps: 1e-5, AllHeads: true, Over: 96}},
	} {
		s, cc := c.s, c
		w, N := s.Width(), s.B*s.T
		o := op{
			name: fmt.Sprintf("%+v", c), in: []int{N * w, c.qHeads * s.QK, c.kHds * s.QK}, out: []int{N * w, N * c.o.Stats(&s)}, tol: 3e-6, gradTol: 2e-5,
			forward: func(p *Pool, out, in [][]float32) {
				QKNormForward(p, out[0], out[1], Rows{F32: in[0]}, in[1], in[2], s, cc.o)
			},
			reference: func(in [][]float64) [][]float64 {
				y, rstd := qkNormSlow(in[0], in[1], in[2], s, cc.o)
				return [][]float64{y, rstd}
			},
			backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
				QKNormBackward(p, din[0], dout, Rows{F32: in[0]}, in[1], in[2], out[1], s, cc.o)
				QKNormGrad(p, din[1], din[2], dout, Rows{F32: in[0]}, out[1], s, cc.o)
			},
			diff: []int{0, 1, 2}, adds: []int{1, 2},
		}
		conform(t, o)

		o.name += " in place"
		o.forward = func(p *Pool, out, in [][]float32) {
			copy(out[0], in[0])
			QKNormForward(p, out[0], out[1], Rows{F32: out[0]}, in[1], in[2], s, cc.o)
		}
		conform(t, o)
	}
}

// Over the width that a head was trained with, a head whose missing columns were cut
// gives what one with zeros in them gives.
func TestQKNormOver(t *testing.T) {
	full := AttnShape{B: 1, T: 1, G: 1, R: 2, QK: 8, VO: 1}
	cut := full
	cut.QK = 6
	x, gain := noise(full.Width()), noise(8)
	y, rstd := make([]float32, len(x)), make([]float32, 3)
	small, ySmall := make([]float32, cut.Width()), make([]float32, cut.Width())
	for h := range 3 {
		clear(x[h*8+6:][:2])
		copy(small[h*6:], x[h*8:][:6])
	}
	p := NewPool(1)
	defer p.Close()
	QKNormForward(p, y, rstd, Rows{F32: x}, gain, gain, full, QKNorm{Eps: 1e-6})
	QKNormForward(p, ySmall, rstd, Rows{F32: small}, gain[:6], gain[:6], cut, QKNorm{Eps: 1e-6, Over: 8})
	for h := range 3 {
		for j := range 6 {
			if d := y[h*8+j] - ySmall[h*6+j]; d > 1e-6 || d < -1e-6 {
				t.Errorf("head %d column %d: cut %g, zeros %g", h, j, ySmall[h*6+j], y[h*8+j])
			}
		}
	}
}
