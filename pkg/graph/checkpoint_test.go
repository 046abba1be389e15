package graph

import (
	"strings"
	"testing"
)

// TestRecomputeChangesNothing: every level gives the bits of keeping all, takes
// less memory the higher it is, and counts what it repeats apart.
func TestRecomputeChangesNothing(t *testing.T) {
	m := newToy(t, "llgg")
	a, ga := m.run(t, 2, LowerOptions{Taps: true})
	before := a.Plan()
	if before.RecomputedFLOPs() != 0 {
		t.Errorf("%d FLOPs are recomputed without asking", before.RecomputedFLOPs())
	}
	products := int64(0)
	for _, r := range []Recompute{RecomputeLight, RecomputeAttention, RecomputeLayer} {
		b, gb := m.run(t, 2, LowerOptions{Taps: true, Recompute: r})
		sameBits(t, a, b, ga, gb)
		p := b.Plan()
		if p.FLOPs() != before.FLOPs() {
			t.Errorf("recompute %d: %d FLOPs, expected %d", r, p.FLOPs(), before.FLOPs())
		}
		if p.ArenaBytes() >= a.Plan().ArenaBytes() {
			t.Errorf("recompute %d takes %d bytes, not less than %d", r, p.ArenaBytes(), a.Plan().ArenaBytes())
		}
		if again := p.RecomputedFLOPs(); (r > RecomputeLight) != (again > products) {
			t.Errorf("recompute %d repeats %d FLOPs, the level before %d", r, again, products)
		} else {
			products = again
		}
	}
}

// TestGraphIsLoweredAgain: one graph becomes machines with and without gradients,
// in any order.
func TestGraphIsLoweredAgain(t *testing.T) {
	m := newToy(t, "lg")
	a, ga := m.run(t, 1, LowerOptions{Taps: true})
	b := m.build(true)
	for i, o := range []LowerOptions{{}, {Grads: m.set.NewSlab()}, {Grads: m.set.NewSlab(), Recompute: RecomputeLayer}, {Grads: m.set.NewSlab(), Taps: true}} {
		mc := lowered(t, b, o)
		m.feed(t, mc)
		ok(t, mc.RunAll())
		if got, want := mc.Output("loss")[0], a.Output("loss")[0]; got != want {
			t.Errorf("machine %d: loss %g, expected %g", i, got, want)
		}
		if o.Taps {
			sameBits(t, a, mc, ga, o.Grads)
		} else if o.Grads != nil {
			sameBits(t, mc, a, ga, o.Grads)
		}
	}
}

func TestCheckpointErrors(t *testing.T) {
	m := newToy(t, "g") // has no checkpoint of the level attention
	grads := m.set.NewSlab()
	for want, f := range map[string]func(b *Builder) LowerOptions{
		"recompute attention: the graph has no checkpoints": func(b *Builder) LowerOptions { return LowerOptions{Recompute: RecomputeAttention} },
		"1 checkpoints were not ended":                      func(b *Builder) LowerOptions { b.Checkpoint(RecomputeLayer); return LowerOptions{} },
		"level layer ends out of order": func(b *Builder) LowerOptions {
			end := b.Checkpoint(RecomputeLayer)
			b.Checkpoint(RecomputeAttention)
			end()
			return LowerOptions{}
		},
	} {
		b := m.build(true)
		o := f(b)
		o.Pool, o.Grads = newPool(t), grads
		if _, err := b.Lower(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, expected %q", err, want)
		}
	}
	if r, err := ParseRecompute("layer"); r != RecomputeLayer || err != nil {
		t.Errorf("layer is %v, %v", r, err)
	}
	if _, err := ParseRecompute("all"); err == nil || !strings.Contains(err.Error(), "none, light, attention, layer") {
		t.Errorf("all: %v", err)
	}
}

// TestStatisticsAreKept: a norm whose output no gradient reads is not computed
// again for its statistics, which were kept.
func TestStatisticsAreKept(t *testing.T) {
	p, err := newToy(t, "l").build(true).Plan(PlanOptions{Recompute: RecomputeLight})
	ok(t, err)
	again := map[string]int{}
	for _, s := range p.Steps {
		if s.Phase == Recomputed {
			again[s.Op()]++
		}
	}
	if again["RMSNorm"] != 2 || again["SwiGLU"] != 1 || len(again) != 2 { // not the norm before the head
		t.Errorf("recomputed are %v, expected 2 norms and SwiGLU", again)
	}
}
