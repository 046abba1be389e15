package graph

import (
	"strings"
	"testing"
)

// TestGatesOnly: gates without gradients of parameters have the same bits, at every level
// of recomputation, and cost two forward passes' products instead of three.
func TestGatesOnly(t *testing.T) {
	m := newToy(t, "lglg")
	trained, _ := m.run(t, 1, LowerOptions{Taps: true})
	for _, o := range []LowerOptions{{}, {private: true}, {poison: true, Recompute: RecomputeLight}, {Recompute: RecomputeLayer}} {
		o.Taps = true
		mc := lowered(t, m.with(BuildOptions{Gates: true}), o)
		m.feed(t, mc)
		ok(t, mc.RunFresh(), mc.RunAll())
		gates := 0
		for name := range trained.Outputs() {
			if strings.HasPrefix(name, "gate:") {
				gates++
			}
			for i, v := range trained.Output(name) {
				if got := mc.Output(name)[i]; got != v {
					t.Fatalf("%s[%d] is %g, with gradients of parameters %g", name, i, got, v)
				}
			}
		}
		if gates != 12 {
			t.Errorf("%d gates, expected 12", gates)
		}
	}
	p, err := m.with(BuildOptions{Gates: true}).Plan(PlanOptions{Taps: true})
	ok(t, err)
	products, attention := int64(0), int64(0)
	for _, s := range lowered(t, m.build(false), LowerOptions{}).Plan().Steps {
		if strings.HasPrefix(s.Name, "Attention") {
			attention += s.FLOPs
		} else {
			products += s.FLOPs
		}
	}
	if got, most := p.FLOPs(), 2*products+3*attention; got > most || got < most*9/10 || trained.Plan().FLOPs() != 3*(products+attention) {
		t.Errorf("%d operations for gates, expected %d at most; training %d, expected %d", got, most, trained.Plan().FLOPs(), 3*(products+attention))
	}
	for _, s := range p.Steps {
		if len(s.Grads) > 0 || strings.Contains(s.Name, "Grad(") || strings.Contains(s.Name, "Grad ") {
			t.Errorf("%s is computed for gates", s.Name)
		}
	}
}

func TestGatesOnlyHasNoGradients(t *testing.T) {
	m := newToy(t, "l")
	_, err := m.with(BuildOptions{Gates: true}).Lower(LowerOptions{Pool: newPool(t), Grads: m.set.NewSlab(), Taps: true})
	_, both := m.with(BuildOptions{Gates: true, Train: true}).Plan(PlanOptions{Taps: true})
	for _, err := range []error{err, both} {
		if err == nil || !strings.Contains(err.Error(), "no gradients of parameters") {
			t.Errorf("error is %v", err)
		}
	}
}
