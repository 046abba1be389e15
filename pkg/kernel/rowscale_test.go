package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestProjectRows(t *testing.T) {
	for _, s := range []struct{ rows, cols, k int }{{1, 1, 1}, {3, 33, 2}, {70, 100, 8}, {40, 768, 5}} {
		f, squares := float32(0.25), make([]float64, s.rows)
		conform(t, op{
			name: "project", in: []int{s.rows * s.cols, s.k * s.cols}, out: []int{s.rows * s.k, s.rows}, tol: 1e-5,
			forward: func(p *Pool, out, in [][]float32) {
				ProjectRows(p, out[0], squares, in[0], in[1], s.cols, f)
				for i, x := range squares {
					out[1][i] = float32(x)
				}
			},
			reference: func(in [][]float64) [][]float64 {
				r, q := make([]float64, s.rows*s.k), make([]float64, s.rows)
				for i := range s.rows {
					g := in[0][i*s.cols:][:s.cols]
					for j, x := range g {
						q[i] += x * x
						for d := range s.k {
							r[i*s.k+d] += float64(f) * x * in[1][d*s.cols+j]
						}
					}
				}
				return [][]float64{r, q}
			},
		})
	}
}

func TestAddScaledRows(t *testing.T) {
	for _, s := range []struct{ rows, cols int }{{1, 1}, {3, 33}, {200, 100}} {
		for _, keep := range []float32{1, 0.75} {
			n := s.rows * s.cols
			conform(t, op{
				name: "add scaled rows", in: []int{n, n, s.rows}, out: []int{n}, tol: 1e-6,
				forward: func(p *Pool, out, in [][]float32) {
					copy(out[0], in[0])
					AddScaledRows(p, Weights{F32: out[0]}, in[1], s.cols, keep, in[2], 0)
				},
				reference: func(in [][]float64) [][]float64 {
					w := slices.Clone(in[0])
					for i := range w {
						w[i] = float64(keep)*w[i] + in[2][i/s.cols]*in[1][i]
					}
					return [][]float64{w}
				},
			})
		}
	}
}

// TestAddScaledRowsBF16: what is stored as bfloat16 is what float32 gives, rounded at random by
// the seed, on any number of workers.
func TestAddScaledRowsBF16(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows, cols = 500, 47
	w, g, f := make([]uint16, rows*cols), make([]float32, rows*cols), make([]float32, rows)
	for i := range w {
		w[i], g[i] = uint16(math.Float32bits(float32(rng.NormFloat64()))>>16), float32(rng.NormFloat64())
	}
	for i := range f {
		f[i] = float32(rng.NormFloat64()) / 10
	}
	f[3] = 0
	eachPath(t, func(t *testing.T) {
		one, two := NewPool(1), NewPool(2)
		defer one.Close()
		defer two.Close()
		wide, want, got, again := make([]float32, rows*cols), make([]uint16, rows*cols), slices.Clone(w), slices.Clone(w)
		WidenBF16(one, wide, w)
		AddScaledRows(one, Weights{F32: wide}, g, cols, 0.5, f, 0)
		ToBF16Random(two, want, wide, 9)
		AddScaledRows(one, Weights{BF16: got}, g, cols, 0.5, f, 9)
		AddScaledRows(two, Weights{BF16: again}, g, cols, 0.5, f, 9)
		if !slices.Equal(got, want) || !slices.Equal(got, again) {
			t.Error("bfloat16 rows are not float32's, rounded by the seed")
		}
	})
}

// TestToBF16Random: the mean is the value, the result one of its two neighbours, and what
// is not finite stays as it is.
func TestToBF16Random(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	for _, v := range []float32{1.001, -3.14159, 1e-30, 0.5, 1e-41, float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32} {
		const n = 20000
		src, dst := make([]float32, n), make([]uint16, n)
		for i := range src {
			src[i] = v
		}
		ToBF16Random(p, dst, src, 5)
		low := math.Float32frombits(math.Float32bits(v) & 0xffff0000)
		high := math.Float32frombits(math.Float32bits(v)&0xffff0000 + 0x10000)
		up := 0
		for _, h := range dst {
			switch x := math.Float32frombits(uint32(h) << 16); x {
			case low:
			case high:
				up++
			default:
				t.Fatalf("%g becomes %g, expected %g or %g", v, x, low, high)
			}
		}
		odds := float64(math.Float32bits(v)&0xffff) / 65536
		if math.IsInf(float64(v), 0) {
			odds = 0
		}
		if got := float64(up) / n; math.Abs(got-odds) > 0.015 {
			t.Errorf("%g is rounded away from zero at a rate of %g, expected %g", v, got, odds)
		}
	}
	nan := []float32{float32(math.NaN()), math.Float32frombits(0x7f800001)}
	bits := make([]uint16, 2)
	ToBF16Random(p, bits, nan, 1)
	for _, h := range bits {
		if x := math.Float32frombits(uint32(h) << 16); x == x {
			t.Errorf("NaN becomes %g", x)
		}
	}
}
