package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// ulps is how far got is from want in units of want's last place; results below
// the smallest normal number count in that number's units.
func ulps(got float32, want float64) float64 {
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

// sweep covers [lo, hi] with values of every magnitude.
func sweep(lo, hi float64) []float32 {
	r := rand.New(rand.NewPCG(1, 1))
	var x []float32
	for i := range 60000 {
		v := lo + (hi-lo)*float64(i)/59999
		if i%4 == 3 {
			v = math.Copysign(math.Exp(r.Float64()*40-37), v)
		}
		if v >= lo && v <= hi {
			x = append(x, float32(v))
		}
	}
	return x
}

// Measured largest errors are a little below these bounds.
func TestVectorAccuracy(t *testing.T) {
	one := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = 1
		}
		return s
	}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	normal := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	twoU := func(x float64) float64 { return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }
	for _, c := range []struct {
		name   string
		lo, hi float64
		ulps   float64
		run    func(y, x []float32)
		want   func(x float64) float64
	}{
		{"exp", -103, 88.7, 1.5, func(y, x []float32) { current.vecOps.expSum(y, x, 0) }, math.Exp},
		{"silu", -80, 80, 4, func(y, x []float32) { current.vecOps.swiglu(y, x, one(len(x))) }, func(x float64) float64 { return x * sigmoid(x) }},
		// The argument of exp, up to 9 here, has a rounding error of its own, which
		// becomes a relative error of the result.
		{"gelu tanh", -4, 30, 20, func(y, x []float32) { current.vecOps.geluTanh(y, x) }, func(x float64) float64 { return x * sigmoid(twoU(x)) }},
		{"gelu erf", -12, 30, 7, func(y, x []float32) { current.vecOps.geluErf(y, x) }, func(x float64) float64 { return x * normal(x) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachPath(t, func(t *testing.T) {
				x := sweep(c.lo, c.hi)
				y := make([]float32, len(x))
				c.run(y, x)
				worst, at := 0.0, 0
				for i, v := range x {
					if u := ulps(y[i], c.want(float64(v))); !(u <= worst) {
						worst, at = u, i
					}
				}
				t.Logf("%.2f ulps at %g", worst, x[at])
				if !(worst <= c.ulps) {
					t.Errorf("f(%g) = %g, want %g: %.2f units in the last place, want at most %g", x[at], y[at], c.want(float64(x[at])), worst, c.ulps)
				}
			})
		})
	}
}

// A NaN must come out of every operation that it goes into: training looks for it
// in the loss and in the gradients' norm, and a vector maximum could swallow it.
func TestNaNSurvives(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	const n = 37
	anyNaN := func(s []float32) bool {
		for _, v := range s {
			if v != v {
				return true
			}
		}
		return false
	}
	eachPath(t, func(t *testing.T) {
		for at := range n {
			x, one := make([]float32, n), make([]float32, n)
			for i := range x {
				x[i], one[i] = float32(i)/10, 1
			}
			x[at] = nan32
			y, mean, rstd := make([]float32, n), make([]float32, 1), make([]float32, 1)
			s := AttnShape{B: 1, T: 1, G: 1, R: 1, QK: n / 3, VO: n - 2*(n/3), Scale: 1, Causal: true}
			for name, run := range map[string]func(){
				"layernorm": func() { LayerNormForward(p, Rows{F32: y}, mean, rstd, x, one, nil, 1, n, 1e-5) },
				"rmsnorm":   func() { RMSNormForward(p, Rows{F32: y}, rstd, x, one, 1, n, RMSNorm{Eps: 1e-5}) },
				"gelu tanh": func() { GELUForward(p, Rows{F32: y}, Rows{F32: x}, n, true) },
				"gelu erf":  func() { GELUForward(p, Rows{F32: y}, Rows{F32: x}, n, false) },
				"gelu back": func() { GELUBackward(p, Rows{F32: y}, x, Rows{F32: one}, true) },
				"swiglu":    func() { SwiGLUForward(p, Rows{F32: y[:n/2]}, Rows{F32: x[:n-1]}, 1, n/2); y[n/2] = x[n-1] },
				"attention": func() { AttentionForward(p, Rows{F32: y[:s.VO]}, nil, Rows{F32: x}, nil, s) },
				"head": func() {
					HeadLoss(p, HeadInput{X: one[:1], W: x, Targets: []int32{3}, N: 1, E: 1, V: n}, HeadOptions{Scale: 1}, HeadOutput{NLL: y[:1]})
				},
				"adamw": func() {
					copy(y, one)
					AdamWStep(p, y, x, make([]float32, n), make([]float32, n), AdamWArgs{LR: 1, GradScale: 1, Eps: 1, Step: 1})
				},
				"adamw16": func() {
					copy(y, one)
					AdamW16Step(p, y, x, make([]float32, n), 0, AdamWArgs{LR: 1, GradScale: 1, Eps: 1, Step: 1})
				},
				"sumsquares": func() { y[0] = float32(SumSquares(p, x)) },
				"gatedot":    func() { GateDot(p, y, Rows{F32: x}, one, 1, 1, n, 0, n, 1) },
			} {
				clear(y)
				if run(); !anyNaN(y) {
					t.Fatalf("%s swallowed a NaN at %d", name, at)
				}
			}
		}
	})
}
