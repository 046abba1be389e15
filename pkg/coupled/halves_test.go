package coupled

import (
	"math"
	"testing"
)

// TestWithout: what one half did not see is what the other saw.
func TestWithout(t *testing.T) {
	set := small.set(t)
	all, odd, even := NewEvidence(set, Options{}), NewEvidence(set, Options{}), NewEvidence(set, Options{})
	for n := range 6 {
		for _, dim := range all.Gates() {
			g := all.gates[dim]
			r := make([]float32, g.lists*g.units)
			for i := range r {
				r[i] = float32(math.Sin(float64(1 + i*7 + n*13)))
			}
			part := even
			if n%2 == 1 {
				part = odd
			}
			for _, e := range []*Evidence{all, part} {
				if err := e.Add(dim, r, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	rest := all.Without(odd, set)
	for dim, want := range even.gates {
		got := rest.gates[dim]
		if got.weight != want.weight || len(got.sum) == 0 {
			t.Fatalf("%s has seen %g sequences, expected %g", dim, got.weight, want.weight)
		}
		for i := range want.sum {
			if math.Abs(got.sum[i]-want.sum[i]) > 1e-12 || math.Abs(got.square[i]-want.square[i]) > 1e-12 {
				t.Fatalf("%s unit %d: %g and %g, expected %g and %g", dim, i, got.sum[i], got.square[i], want.sum[i], want.square[i])
			}
		}
	}
}

func TestOverlap(t *testing.T) {
	plan := func(kept ...int) *Plan {
		return &Plan{Decisions: []Decision{
			{Dim: "layer.0.ffn", Units: 6, Keep: len(kept), Kept: [][]int{kept}, Before: 60},
			{Dim: "layer.0.vo", Units: 2, Keep: 1, Kept: [][]int{{0}, {1}}, Before: 400},
		}}
	}
	if x := Overlap(plan(0, 1, 2), plan(0, 1, 2)); x != 1 {
		t.Errorf("equal plans overlap by %g", x)
	}
	// 30 of ffn go, of which 20 in both; 200 of vo.
	if x := Overlap(plan(0, 1, 2), plan(1, 2, 3)); math.Abs(x-220.0/230) > 1e-12 {
		t.Errorf("the overlap is %g, expected %g", x, 220.0/230)
	}
	if x := Overlap(&Plan{}, &Plan{}); x != 1 {
		t.Errorf("plans that remove nothing overlap by %g", x)
	}
}
