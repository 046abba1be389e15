package coupled

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// hidden makes correlated rows of activations with a mean.
func hidden(rows, cols int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 4))
	x := make([]float32, rows*cols)
	for i := range rows {
		shared := rng.NormFloat64()
		for j := range cols {
			x[i*cols+j] = float32(rng.NormFloat64()*0.5 + shared*float64(j%3) + 0.4)
		}
	}
	return x
}

// consumerError is the mean squared difference between what the whole consumer makes
// of the rows and what `rows` [n, width] with a bias make of the kept columns.
func consumerError(x []float32, dense, now, bias0, bias1 []float32, kept []int, width int) float64 {
	cols := len(dense) / width
	sum := 0.0
	for at := 0; at < len(x); at += cols {
		for j := range width {
			d := 0.0
			if bias0 != nil {
				d = float64(bias0[j] - bias1[j])
			}
			for c := range cols {
				d += float64(x[at+c]) * float64(dense[c*width+j])
			}
			for _, c := range kept {
				d -= float64(x[at+c]) * float64(now[c*width+j])
			}
			sum += d * d
		}
	}
	return sum / float64(len(x)/cols)
}

// TestCompensationIsLeastSquares: no small change of the fitted rows or the bias
// does better on the activations seen, and lsq beats bias beats nothing.
func TestCompensationIsLeastSquares(t *testing.T) {
	for name, z := range map[string]sizes{"gpt": gpt, "llama": small, "grouped": grouped} {
		for _, site := range []string{"hidden", "ctx"} {
			consumer, cut := "layer.0.down", param.Cut{"layer.0.ffn": {{0, 2}}}
			kept := []int{0, 2}
			if !z.gated {
				consumer = "layer.0.out"
			}
			if site == "ctx" {
				consumer, kept = "layer.0.o", nil
				keep := param.Keep{}
				for g := range z.kv {
					keep = append(keep, []int{g % 2, 3})
					for r := range z.r {
						kept = append(kept, (g*z.r+r)*z.vo+g%2, (g*z.r+r)*z.vo+3)
					}
				}
				cut = param.Cut{"layer.0.vo": keep}
			}
			errs := map[string]float64{}
			for _, method := range Compensations() {
				s := z.set(t)
				e := NewEvidence(s, Options{Compensation: true})
				p := s.Param(consumer)
				cols := p.Size() / z.embed
				x := hidden(200, cols, 1)
				if err := e.Observe("layer.0."+site, x, 4, 50); err != nil {
					t.Fatal(err)
				}
				dense := append([]float32(nil), p.Data()...)
				var b0, b1 []float32
				if b := s.Param(consumer + "_bias"); b != nil {
					b0, b1 = append([]float32(nil), b.Data()...), b.Data()
				}
				err := Compensate(s, e, cut, method, 1e-6)
				if method == CompensateBias && !z.bias {
					if err == nil || !strings.Contains(err.Error(), "has no bias") {
						t.Errorf("%s: bias for a model without gave %v", name, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				now := p.Data()
				errs[method] = consumerError(x, dense, now, b0, b1, kept, z.embed)
				if method != CompensateLSQ {
					continue
				}
				rng := rand.New(rand.NewPCG(2, 2))
				for range 20 {
					k, j := kept[rng.IntN(len(kept))]*z.embed, rng.IntN(z.embed)
					for _, step := range []float32{0.02, -0.02} {
						now[k+j] += step
						if got := consumerError(x, dense, now, b0, b1, kept, z.embed); got < errs[method]-1e-6 {
							t.Errorf("%s %s: moving a row by %g lowers the error from %g to %g", name, site, step, errs[method], got)
						}
						now[k+j] -= step
						if b1 != nil {
							b1[j] += step
							if got := consumerError(x, dense, now, b0, b1, kept, z.embed); got < errs[method]-1e-6 {
								t.Errorf("%s %s: moving the bias by %g lowers the error from %g to %g", name, site, step, errs[method], got)
							}
							b1[j] -= step
						}
					}
				}
			}
			if b, ok := errs[CompensateBias]; errs[CompensateLSQ] >= 0.9*errs[CompensateNone] || ok && (b >= errs[CompensateNone] || errs[CompensateLSQ] >= b) {
				t.Errorf("%s %s: errors %v, expected lsq below bias below none", name, site, errs)
			}
		}
	}
}

// TestCompensationOfHeads: units of heads that go count as gone, without a cut of vo.
func TestCompensationOfHeads(t *testing.T) {
	s := grouped.set(t)
	e := NewEvidence(s, Options{Compensation: true})
	p := s.Param("layer.0.o")
	x := hidden(300, p.Size()/grouped.embed, 1)
	if err := e.Observe("layer.0.ctx", x, 1, 300); err != nil {
		t.Fatal(err)
	}
	dense := append([]float32(nil), p.Data()...)
	b := s.Param("layer.0.o_bias").Data()
	b0 := append([]float32(nil), b...)
	kept := upTo(30)[15:]
	before := consumerError(x, dense, dense, b0, b, kept, grouped.embed)
	if err := Compensate(s, e, param.Cut{"layer.0.kv": {{1}}}, CompensateLSQ, 0); err != nil {
		t.Fatal(err)
	}
	if after := consumerError(x, dense, p.Data(), b0, b, kept, grouped.embed); after > 0.7*before {
		t.Errorf("error %g after compensation, %g before", after, before)
	}
	for i, x := range p.Data()[:15*grouped.embed] {
		if x != dense[i] {
			t.Fatal("rows that go have changed")
		}
	}
}

func TestCompensationRefuses(t *testing.T) {
	s := gpt.set(t)
	cut := param.Cut{"layer.0.ffn": {{0}}}
	for name, err := range map[string]error{
		"method":  Compensate(s, NewEvidence(s, Options{}), cut, "mean", 0),
		"no gram": Compensate(s, NewEvidence(s, Options{Activations: true}), cut, CompensateLSQ, 0),
		"ridge":   Compensate(s, NewEvidence(s, Options{Compensation: true}), cut, CompensateLSQ, math.NaN()),
		"cut":     Compensate(s, NewEvidence(s, Options{}), param.Cut{"x": {{0}}}, CompensateLSQ, 0),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
