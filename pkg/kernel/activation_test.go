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
				forward: func(p *Pool, out, in [][]float32) { GELUForward(p, Rows{F32: out[0]}, Rows{F32: in[0]}, n, tanh) },
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
					GELUBackward(p, Rows{F32: din[0]}, dout, Rows{F32: in[0]}, tanh)
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
			forward: func(p *Pool, out, in [][]float32) { SwiGLUForward(p, Rows{F32: out[0]}, Rows{F32: in[0]}, N, F) },
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
				SwiGLUBackward(p, Rows{F32: din[0]}, dout, Rows{F32: in[0]}, N, F)
			},
			diff: []int{0},
		})
	}
}

func TestGeGLU(t *testing.T) {
	gelu := func(x float64, tanh bool) float64 {
		if tanh {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}
		return x * 0.5 * math.Erfc(-x/math.Sqrt2)
	}
	for _, tanh := range []bool{true, false} {
		for _, s := range [][2]int{{1, 1}, {3, 5}, {7, 61}, {2, 128}, {40, 100}} {
			N, F := s[0], s[1]
			o := op{
				name: "geglu", in: []int{N * 2 * F}, out: []int{N * F}, tol: 2e-6, fill: wide,
				forward: func(p *Pool, out, in [][]float32) { GeGLUForward(p, Rows{F32: out[0]}, Rows{F32: in[0]}, N, F, tanh) },
				reference: func(in [][]float64) [][]float64 {
					h := make([]float64, N*F)
					for n := range N {
						for f := range F {
							h[n*F+f] = gelu(in[0][n*2*F+f], tanh) * in[0][n*2*F+F+f]
						}
					}
					return [][]float64{h}
				},
				backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
					GeGLUBackward(p, Rows{F32: din[0]}, dout, Rows{F32: in[0]}, N, F, tanh)
				},
				diff: []int{0},
			}
			conform(t, o)

			o.name = "geglu in place"
			o.backward = func(p *Pool, din, in, out [][]float32, dout []float32) {
				copy(din[0], in[0])
				GeGLUBackward(p, Rows{F32: din[0]}, dout, Rows{F32: din[0]}, N, F, tanh)
			}
			conform(t, o)
		}
	}
}

func TestSoftCap(t *testing.T) {
	for _, n := range []int{1, 3, 16, 47, 5000} {
		for _, c := range []float32{0.5, 30} { // bent, and almost straight
			conform(t, op{
				// 1 - (y/c)² keeps the absolute precision of y, not the relative one
				name: "softcap", in: []int{n}, out: []int{n}, tol: 1e-6, gradTol: 1e-5, fill: wide,
				forward: func(p *Pool, out, in [][]float32) { SoftCapForward(p, out[0], in[0], c) },
				reference: func(in [][]float64) [][]float64 {
					y := make([]float64, n)
					for i, x := range in[0] {
						y[i] = float64(c) * math.Tanh(x/float64(c))
					}
					return [][]float64{y}
				},
				backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
					SoftCapBackward(p, din[0], dout, out[0], c)
				},
				diff: []int{0},
			})
		}
	}
}

// tanh keeps its relative precision near 0 and is 1 far from it.
func TestSoftCapPrecision(t *testing.T) {
	var x []float32
	for e := -60; e <= 10; e++ {
		for _, m := range []float64{1, 1.3, 1.9} {
			v := float32(math.Ldexp(m, e))
			x = append(x, v, -v)
		}
	}
	x = append(x, 0, float32(math.Inf(1)), float32(math.Inf(-1)), 200, -3e38)
	eachPath(t, func(t *testing.T) {
		y := make([]float32, len(x))
		current.vecOps.softCap(y, x, 1, 1)
		for i, v := range x {
			if want := math.Tanh(float64(v)); !(math.Abs(float64(y[i])-want) <= 4*0x1p-24*math.Abs(want)) {
				t.Errorf("tanh(%g) = %g, want %g", v, y[i], want)
			}
		}
		current.vecOps.softCap(y[:1], []float32{nan32}, 1, 1)
		if y[0] == y[0] {
			t.Errorf("tanh(NaN) = %g", y[0])
		}
	})
}
