package optim

import (
	"math"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// TestScale: every optimizer multiplies the rate by Step.Scale, parameter by parameter:
// with 0 a parameter stays, and half the scale at twice the rate is the same step.
func TestScale(t *testing.T) {
	for _, name := range Names() {
		c := config(name)
		c.WeightDecay = 0
		run := func(lr float64, scale func(p *param.Param) float64) map[string][]float32 {
			b := newBench(t)
			o := New(b.set, c)
			defer Close(o)
			u := b.draw(lr)
			u.Scale = scale
			o.Update(u)
			out := map[string][]float32{}
			for _, p := range b.set.Params {
				out[p.Name] = slices.Clone(p.Data())
			}
			return out
		}
		start, whole := newBench(t), run(0.01, nil)
		half := run(0.02, func(p *param.Param) float64 {
			if p.Name == "k" || p.Name == "norm" {
				return 0
			}
			return 0.5
		})
		for _, p := range start.set.Params {
			want := whole[p.Name]
			if p.Name == "k" || p.Name == "norm" {
				want = p.Data()
			}
			for i, v := range half[p.Name] {
				if math.Abs(float64(v-want[i])) > 1e-6 { // rounding of the rate
					t.Fatalf("%s: %s element %d is %g, expected %g", name, p.Name, i, v, want[i])
				}
			}
		}
	}
}

func TestWeightScale(t *testing.T) {
	b := newBench(t)
	for _, p := range b.set.Params {
		for i := range p.Data() {
			p.Data()[i] = map[string]float32{"table": 2, "norm": 1, "q": 0.1, "k": 0, "up": 0.3, "down": -0.5}[p.Name]
		}
	}
	scale := WeightScale(b.set, 0.05)
	mean := (2 + 0.1 + 0.3 + 0.5) / 4
	for _, p := range b.set.Params {
		want := map[string]float64{"table": 2, "norm": 0.05, "q": 0.1, "k": mean, "up": 0.3, "down": 0.5}[p.Name]
		if got := scale(p); math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: scale %g, expected %g", p.Name, got, want)
		}
	}
}
