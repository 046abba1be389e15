package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAdamW(t *testing.T) {
	for _, n := range []int{1, 15, 33, 20001} {
		for _, a := range []AdamWArgs{
			{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, GradScale: 0.5, Step: 1},
			{LR: 3e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-6, GradScale: 1, Step: 1000, ClearGrad: true},
		} {
			conform(t, op{
				name: "adamw", in: []int{n, n, n, n}, out: []int{n, n, n, n}, tol: 2e-6,
				fill: func(r *rand.Rand, in [][]float32) {
					for i := range in[3] {
						in[3][i] = float32(math.Abs(float64(in[3][i])))
					}
				},
				forward: func(p *Pool, out, in [][]float32) {
					for i := range out {
						copy(out[i], in[i])
					}
					AdamWStep(p, out[0], out[1], out[2], out[3], a)
				},
				reference: func(in [][]float64) [][]float64 { return adamwSlow(in, a) },
			})
		}
	}
}

func adamwSlow(in [][]float64, a AdamWArgs) [][]float64 {
	out := make([][]float64, 4)
	for i := range out {
		out[i] = append([]float64(nil), in[i]...)
	}
	b1, b2 := float64(a.Beta1), float64(a.Beta2)
	for i, g := range in[1] {
		if a.ClearGrad {
			out[1][i] = 0
		}
		g *= float64(a.GradScale)
		m, v := b1*in[2][i]+(1-b1)*g, b2*in[3][i]+(1-b2)*g*g
		out[2][i], out[3][i] = m, v
		mhat := m / (1 - math.Pow(b1, float64(a.Step)))
		vhat := v / (1 - math.Pow(b2, float64(a.Step)))
		w := in[0][i] * (1 - float64(a.LR)*float64(a.WeightDecay))
		out[0][i] = w - float64(a.LR)*mhat/(math.Sqrt(vhat)+float64(a.Eps))
	}
	return out
}

// A weight that never had a gradient must stay a number.
func TestAdamWZeroGradient(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	eachPath(t, func(t *testing.T) {
		w, g, m, v := make([]float32, 20), make([]float32, 20), make([]float32, 20), make([]float32, 20)
		for i := range w {
			w[i] = 2
		}
		AdamWStep(p, w, g, m, v, AdamWArgs{LR: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.5, GradScale: 1, Step: 1})
		for i := range w {
			if math.Abs(float64(w[i])-1.9) > 1e-6 || m[i] != 0 || v[i] != 0 {
				t.Fatalf("w %g m %g v %g, want 1.9 0 0", w[i], m[i], v[i])
			}
		}
	})
}

// words packs pairs of moments as AdamW16Step keeps them.
func words(dst []float32, m, v []float64) {
	for i := range dst {
		dst[i] = math.Float32frombits(math.Float32bits(float32(m[i]))&0xffff0000 | math.Float32bits(float32(v[i]))>>16)
	}
}

func moments16(mv []float32) (m, v []float64) {
	for _, x := range mv {
		b := math.Float32bits(x)
		m = append(m, float64(math.Float32frombits(b&0xffff0000)))
		v = append(v, float64(math.Float32frombits(b<<16)))
	}
	return m, v
}

// TestAdamW16 compares with the slow form from the moments that were stored. A
// moment may be rounded up or down, the weight uses what it was before.
func TestAdamW16(t *testing.T) {
	a := AdamWArgs{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, GradScale: 0.5, Step: 3}
	for _, n := range []int{1, 15, 33, 20001} {
		conform(t, op{
			name: "adamw16", in: []int{n, n, n}, out: []int{n, n, n, n}, tol: 8e-3,
			fill: func(r *rand.Rand, in [][]float32) {
				m, v := make([]float64, n), make([]float64, n)
				for i := range m {
					in[0][i], in[1][i] = float32(r.NormFloat64()), float32(r.NormFloat64())
					m[i], v[i] = r.NormFloat64(), math.Abs(r.NormFloat64())
				}
				words(in[2], m, v)
			},
			forward: func(p *Pool, out, in [][]float32) {
				for i, s := range in {
					copy(out[i], s)
				}
				AdamW16Step(p, out[0], out[1], out[2], 7, a)
				for i, x := range out[2] {
					b := math.Float32bits(x)
					out[2][i], out[3][i] = math.Float32frombits(b&0xffff0000), math.Float32frombits(b<<16)
				}
			},
			reference: func(in [][]float64) [][]float64 {
				mv := make([]float32, n)
				for i, x := range in[2] {
					mv[i] = float32(x)
				}
				m, v := moments16(mv)
				return adamwSlow([][]float64{in[0], in[1], m, v}, a)
			},
		})
	}
}

// TestAdamW16Forgets: a second moment that shrinks by a thousandth a step, less
// than half of bfloat16's resolution, shrinks all the same; and the rounding is
// not biased: over many elements the mean is right.
func TestAdamW16Forgets(t *testing.T) {
	const n, steps = 4096, 1000
	p := NewPool(2)
	defer p.Close()
	eachPath(t, func(t *testing.T) {
		w, g, mv, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float64, n), make([]float64, n)
		for i := range m {
			m[i], v[i] = -1, 1
		}
		words(mv, m, v)
		for i := range steps {
			AdamW16Step(p, w, g, mv, 0, AdamWArgs{Beta1: 0.999, Beta2: 0.999, Eps: 1, GradScale: 1, Step: i + 1})
		}
		m, v = moments16(mv)
		want := math.Pow(0.999, steps)
		for name, x := range map[string][]float64{"first": m, "second": v} {
			mean := 0.0
			for _, x := range x {
				mean += math.Abs(x) / n
			}
			if math.Abs(mean/want-1) > 0.01 {
				t.Errorf("the %s moment's mean is %g after %d steps, expected %g", name, mean, steps, want)
			}
		}
	})
}

func TestSumSquares(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		for _, n := range []int{0, 1, 15, 17, 1000, sumBlock + 5, 3*sumBlock - 1} {
			x, _ := fence(t, n)
			var want float64
			for i := range x {
				x[i] = float32(r.NormFloat64() * 1e15) // squares beyond float32
				want += float64(x[i]) * float64(x[i])
			}
			var first float64
			for _, threads := range []int{1, 4} {
				p := NewPool(threads)
				defer p.Close()
				got := SumSquares(p, x)
				if math.Abs(got-want) > 1e-12*want {
					t.Errorf("%d elements: %g, want %g", n, got, want)
				}
				if threads == 1 {
					first = got
				}
				if got != first {
					t.Errorf("%d elements: %g on %d threads, %g on one", n, got, threads, first)
				}
				if a := allocations(5, func() { SumSquares(p, x) }); a > 0 && !raceDetector {
					t.Errorf("%v allocations, want 0", a)
				}
			}
		}
		p := NewPool(1)
		defer p.Close()
		if s := SumSquares(p, []float32{1, nan32, 2}); s == s {
			t.Errorf("a NaN gave %g", s)
		}
	})
}

func TestGateDot(t *testing.T) {
	for _, c := range []struct{ B, T, stride, col0, U, width int }{
		{1, 1, 1, 0, 1, 1}, {2, 5, 40, 3, 17, 1}, {3, 4, 50, 2, 11, 2}, {2, 3, 300, 7, 140, 2}, {1, 9, 200, 0, 200, 1}, {2, 3, 20, 2, 6, 3},
	} {
		n := c.B * c.T * c.stride
		conform(t, op{
			name: "gatedot", in: []int{n, n}, out: []int{c.B * c.U}, tol: 3e-6,
			forward: func(p *Pool, out, in [][]float32) {
				GateDot(p, out[0], Rows{F32: in[0]}, in[1], c.B, c.T, c.stride, c.col0, c.U, c.width)
			},
			reference: func(in [][]float64) [][]float64 {
				r := make([]float64, c.B*c.U)
				for i := range r {
					b, u := i/c.U, i%c.U
					for t := range c.T {
						for w := range c.width {
							at := (b*c.T+t)*c.stride + c.col0 + u*c.width + w
							r[i] += in[0][at] * in[1][at]
						}
					}
				}
				return [][]float64{r}
			},
		})
	}
}
