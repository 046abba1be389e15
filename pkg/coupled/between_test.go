package coupled

import (
	"math"
	"testing"
)

// TestEveryOtherLayer: where one layer in so many is measured, sensitivity makes few trials,
// records no curve that it did not measure, and divides a budget as well as with all of them where
// costs rise evenly through the layers.
func TestEveryOtherLayer(t *testing.T) {
	set := sizes{layers: 6, kv: 1, r: 1, qk: 1, vo: 1, ffn: 32, embed: 4}.set(t)
	costs := map[string]float64{}
	for i, g := range Groups(set) {
		if g.Kind == FFN {
			costs[g.Dim] = 1 + float64(i)
		}
	}
	plans := map[int]*Plan{}
	for every, trials := range map[int]int{0: 37, 1: 37, 2: 25, 3: 19, 9: 13} { // with 6 shares each and the whole model
		calls := 0
		r := Request{
			Set: set, Scores: flatScores(set, func(g Group, l, u int) float64 { return float64(u) }), Losses: each(quadratic(set, costs, &calls)),
			Budget: Budget{Params: set.Count() - 80*Groups(set)[2].Cost}, Every: every,
			Config: configOf(func(c *Config) { c.Kinds, c.Allocation = []Kind{FFN}, "sensitivity" }),
		}
		n, err := Clusters(r)
		if err != nil || calls != 0 || 1+6*n != trials {
			t.Errorf("every %d: %d clusters are measured (%v), expected %d", every, n, err, (trials-1)/6)
		}
		if plans[every], err = MakePlan(r); err != nil {
			t.Fatal(err)
		}
		if calls != trials {
			t.Errorf("every %d: %d trials, expected %d", every, calls, trials)
		}
		curves := 0
		for _, d := range plans[every].Decisions {
			if len(d.Curve) > 0 {
				curves++
			}
		}
		if curves != n {
			t.Errorf("every %d: %d curves are recorded, %d were measured", every, curves, n)
		}
	}
	loss := quadratic(set, costs, new(int))
	best, _ := loss(plans[0].Cut())
	for every, plan := range plans {
		if got, _ := loss(plan.Cut()); got > best+1e-3 {
			t.Errorf("every %d: loss %g, with all layers measured %g", every, got, best)
		}
	}
}

// TestBetween: a curve between two lies between them, or is the nearer one where their shares differ.
func TestBetween(t *testing.T) {
	a, b := []Point{{0, 1}, {0.6, 2}}, []Point{{0, 1}, {0.6, 6}}
	if got := between(a, b, 0.25); got[0].Loss != 1 || math.Abs(got[1].Loss-3) > 1e-12 || got[1].Removed != 0.6 {
		t.Errorf("%+v", got)
	}
	for _, other := range [][]Point{{{0, 1}}, {{0, 1}, {0.5, 6}}} {
		if got := between(a, other, 0.75); &got[0] != &other[0] {
			t.Errorf("%+v, expected %+v", got, other)
		}
		if got := between(a, other, 0.25); &got[0] != &a[0] {
			t.Errorf("%+v, expected %+v", got, a)
		}
	}
}
