package graph

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// TestUpdate: every block is updated once, by the gradient that the slab would get, to the bit,
// and after all that reads its weights: they become NaN there, which nothing sees. No
// value reads memory that it does not own, and the arena is smaller than slab and arena were.
func TestUpdate(t *testing.T) {
	for _, style := range []string{"lglg", "llll"} {
		m := newToy(t, style)
		nan := float32(math.NaN())
		for _, r := range []Recompute{KeepAll, RecomputeLight, RecomputeLayer} {
			for _, poisoned := range []bool{false, true} {
				a, want := m.run(t, 1, LowerOptions{Taps: true, Recompute: r})
				weights := slices.Clone(m.set.Weights.Data)
				var order []string
				got := m.set.NewSlab()
				b := lowered(t, m.build(true), LowerOptions{Taps: true, Recompute: r, poison: poisoned, Update: func(b *param.Block, grad []float32) error {
					order = append(order, b.Name)
					copy(b.In(got), grad)
					w := b.In(m.set.Weights)
					for i := range w {
						w[i] = nan
					}
					return nil
				}})
				m.feed(t, b)
				var first []string
				for range 2 {
					order = nil
					clear(got.Data)
					ok(t, b.RunAll())
					copy(m.set.Weights.Data, weights)
					sameBits(t, a, b, want, got)
					if len(order) != len(m.set.Blocks) || first != nil && !slices.Equal(first, order) {
						t.Fatalf("blocks were updated in the order %v, expected %d in the order %v", order, len(m.set.Blocks), first)
					}
					first = order
				}
				whole := a.Plan().ArenaBytes() + 4*int64(m.set.Len())
				if n := b.Plan().ArenaBytes(); r == RecomputeLayer && n >= whole*3/4 {
					t.Errorf("%s, recompute %s: the arena takes %d bytes, with a slab of gradients %d", style, r, n, whole)
				}
				p, err := m.build(true).Plan(PlanOptions{Taps: true, Recompute: r, Update: true})
				ok(t, err)
				if p.ArenaBytes() != b.Plan().ArenaBytes() {
					t.Errorf("%d bytes are planned, %d are taken", p.ArenaBytes(), b.Plan().ArenaBytes())
				}
			}
		}
	}
}

func TestUpdateEndsTheRun(t *testing.T) {
	m := newToy(t, "l")
	stop, calls := errors.New("enough"), 0
	b := lowered(t, m.build(true), LowerOptions{Update: func(*param.Block, []float32) error {
		if calls++; calls == 2 {
			return stop
		}
		return nil
	}})
	m.feed(t, b)
	if err := b.RunAll(); !errors.Is(err, stop) || calls != 2 {
		t.Errorf("%v after %d blocks", err, calls)
	}
	if _, err := m.build(true).Lower(LowerOptions{Pool: newPool(t), Grads: m.set.NewSlab(), Update: func(*param.Block, []float32) error { return nil }}); err == nil {
		t.Error("a slab and updates are both accepted")
	}
}

// TestUpdateStored: weights that are bfloat16 have the gradients of the same numbers as
// float32.
func TestUpdateStored(t *testing.T) {
	stored := storedModel(t)
	ok(t, stored.StoreAll(param.BF16))
	var grads [2]map[string][]float32
	for i, set := range []*param.Set{rounded(t, stored), stored} {
		grads[i] = map[string][]float32{}
		m := lowered(t, buildStored(set, nil, true), LowerOptions{Update: func(b *param.Block, g []float32) error {
			grads[i][b.Name] = slices.Clone(g)
			return nil
		}})
		feedStored(t, m)
		ok(t, m.RunAll())
	}
	if len(grads[0]) < 3 {
		t.Fatalf("gradients of %d blocks", len(grads[0]))
	}
	for name, want := range grads[0] {
		for i, g := range grads[1][name] {
			if d := math.Abs(float64(g - want[i])); !(d <= 1e-5*max(1, math.Abs(float64(g)))) {
				t.Fatalf("gradient %d of %s is %g, expected %g", i, name, g, want[i])
			}
		}
	}
}
