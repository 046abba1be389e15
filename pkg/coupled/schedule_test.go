package coupled

import (
	"math"
	"testing"
)

func TestScheduleByHand(t *testing.T) {
	s := Schedule{Start: 0.1, End: 0.4, Events: 4, Ramp: "cubic"}
	want := map[int]float64{10: 1 - 27.0/64, 20: 1 - 8.0/64, 30: 1 - 1.0/64, 40: 1}
	for step := range 100 {
		share, due := s.At(step, 100)
		if w, ok := want[step]; ok != due || math.Abs(share-w) > 1e-12 {
			t.Errorf("step %d: share %g, due %v, expected %g, %v", step, share, due, w, ok)
		}
	}
	for step, n := range map[int]int{0: 4, 9: 4, 10: 3, 39: 1, 40: 0} {
		if got := s.Remaining(step, 100); got != n {
			t.Errorf("%d events remain after step %d, expected %d", got, step, n)
		}
	}
}

// TestScheduleAlwaysEnds: whatever the numbers, shares rise, the last is exactly
// 1, no event is at step 0 or beyond the last step, and Remaining agrees with At.
func TestScheduleAlwaysEnds(t *testing.T) {
	for _, ramp := range Ramps() {
		for _, s := range []Schedule{{0, 0, 1, ramp}, {0.1, 0.9, 7, ramp}, {0, 0.99, 50, ramp}, {0.5, 0.5, 3, ramp}} {
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			for _, steps := range []int{2, 3, 10, 1000} {
				last, events := 0.0, 0
				if _, due := s.At(0, steps); due {
					t.Errorf("%+v of %d steps: an event before the first step", s, steps)
				}
				for step := 1; step < steps; step++ {
					before := s.Remaining(step-1, steps)
					share, due := s.At(step, steps)
					if due {
						events++
						if share < last {
							t.Errorf("%+v: share falls from %g to %g", s, last, share)
						}
						last = share
					}
					if due != (s.Remaining(step, steps) < before) {
						t.Errorf("%+v of %d steps: Remaining and At disagree at %d", s, steps, step)
					}
				}
				if last != 1 || events == 0 {
					t.Errorf("%+v of %d steps: %d events end at share %g, expected 1", s, steps, events, last)
				}
			}
		}
	}
}

func TestScheduleRefuses(t *testing.T) {
	for _, s := range []Schedule{
		{-0.1, 0.5, 1, "cubic"}, {0.5, 0.4, 1, "cubic"}, {0, 1, 1, "cubic"}, {0, 0.5, 0, "cubic"},
		{0, 0.5, 1, "square"}, {math.NaN(), 0.5, 1, "cubic"},
	} {
		if s.Validate() == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}
