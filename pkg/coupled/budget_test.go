package coupled

import (
	"errors"
	"math/rand/v2"
	"testing"
)

// TestBudgetMetWithinOneUnit: any reachable target, every cheap allocation and
// layout, is met from below by less than the largest step.
func TestBudgetMetWithinOneUnit(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, z := range []sizes{small, gpt, {layers: 2, kv: 1, r: 4, qk: 3, vo: 3, ffn: 9, embed: 5, rope: true, gated: true}} {
		set := z.set(t)
		e := seen(t, set, Options{}, 5, 1)
		for trial := range 60 {
			c := DefaultConfig()
			c.Allocation = []string{"uniform", "global"}[rng.IntN(2)]
			c.Layout = Layouts()[rng.IntN(3)]
			c.RoundTo = []int{1, 1, 2, 3}[rng.IntN(4)]
			c.MinKeep = 1 + rng.IntN(2)
			c.Floor = []float64{0, 0.3}[rng.IntN(2)]
			if rng.IntN(3) == 0 {
				c.Kinds = []Kind{QK, VO, FFN, Head}
			}
			p, err := newProblem(Request{Set: set, Config: c})
			if err != nil {
				t.Fatal(err)
			}
			least, full := p.least(), set.Count()
			largest := 0
			for _, cl := range p.clusters {
				step := 0
				for _, g := range cl.groups {
					step += g.Step() * cl.multiple
				}
				largest = max(largest, step)
			}
			want := least + rng.IntN(full-least+1)
			plan, err := MakePlan(Request{Set: set, Family: "f", Config: c, Budget: Budget{Params: want}, Evidence: e})
			if err != nil {
				t.Fatalf("trial %d: %v", trial, err)
			}
			if err := plan.Validate("f", set); err != nil {
				t.Fatal(err)
			}
			if plan.After > want || want-plan.After >= largest {
				t.Errorf("trial %d %+v: %d parameters for a budget of %d, largest step %d", trial, c, plan.After, want, largest)
			}
			cp := z.set(t)
			if err := cp.Shrink(plan.Cut()); err != nil {
				t.Fatal(err)
			}
			if cp.Count() != plan.After {
				t.Errorf("trial %d: the plan says %d parameters, the cut leaves %d", trial, plan.After, cp.Count())
			}
			if _, err := MakePlan(Request{Set: set, Config: c, Budget: Budget{Params: least - 1}, Evidence: e}); !errors.Is(err, ErrBudget) {
				t.Errorf("trial %d: a budget below the floor gave %v", trial, err)
			}
		}
	}
}
