package coupled

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestMergeIsOneRank: two ranks that saw halves of the sequences have, merged, what
// one has that saw them all, decay included.
func TestMergeIsOneRank(t *testing.T) {
	set := small.set(t)
	o := Options{Interactions: []Kind{QK}, Squares: true, Kinds: []string{"test-sizes"}}
	one, a, b := NewEvidence(set, o), NewEvidence(set, o), NewEvidence(set, o)
	rng := rand.New(rand.NewPCG(1, 2))
	for step := range 3 {
		for i, to := range []*Evidence{a, b} {
			for _, dim := range one.Gates() {
				s := one.gates[dim]
				r := make([]float32, (1+i)*s.lists*s.units)
				for j := range r {
					r[j] = rng.Float32() - 0.5
				}
				for _, e := range []*Evidence{one, to} {
					if err := e.Add(dim, r, 2); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if step < 2 {
			for _, e := range []*Evidence{one, a, b} {
				e.Decay(0.7)
			}
		}
	}
	var parts [2][]float64
	var halves [2][]float32
	note := func(at int) (func([]float64) error, func([]float32) error) {
		return func(x []float64) error { parts[at] = append(parts[at], x...); return nil },
			func(x []float32) error { halves[at] = append(halves[at], x...); return nil }
	}
	if err := b.Merge(note(1)); err != nil {
		t.Fatal(err)
	}
	err := a.Merge(func(x []float64) error {
		for i := range x {
			x[i] += parts[1][i]
		}
		return nil
	}, func(x []float32) error {
		for i := range x {
			x[i] += halves[1][i]
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var want []float64
	if err := one.visit(func(f64 []float64, f32 []float32) error { want = append(want, f64...); return nil }); err != nil {
		t.Fatal(err)
	}
	i, largest := 0, 0.0
	if err := a.visit(func(f64 []float64, f32 []float32) error {
		for _, x := range f64 {
			// Sums of a few numbers in another order, in double precision.
			if math.Abs(x-want[i]) > 1e-12*(1+math.Abs(want[i])) {
				t.Errorf("statistic %d is %g, expected %g", i, x, want[i])
			}
			largest = max(largest, math.Abs(x))
			i++
		}
		return nil
	}); err != nil || i != len(want) || largest == 0 {
		t.Fatalf("%d of %d statistics, largest %g, %v", i, len(want), largest, err)
	}
	a.Reset()
	if n := a.Sequences(a.Gates()[0]); n != 0 {
		t.Errorf("%g sequences after Reset", n)
	}
}
