package prune

import (
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// TestSensitivitiesAreCuts: a point of the curve is the loss of the model pruned by
// that ratio, and measuring leaves the function alone.
func TestSensitivitiesAreCuts(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		make := func() *Job {
			return &Job{Calibration: calibration(t, family, 6), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove()}
		}
		p := make()
		var last Working
		phases := map[PhaseName]bool{}
		p.Working = func(w Working) {
			if w.Done < last.Done || w.Done > w.Of {
				t.Errorf("after %+v comes %+v", last, w)
			}
			last, phases[w.Phase] = w, true
		}
		got, err := p.Sensitivities([]float64{0.7, 0.4})
		if err != nil || len(got) != 3 {
			t.Fatalf("%d kinds, %v", len(got), err)
		}
		if !phases[PhaseBasis] || !phases[PhaseEvidence] || !phases[PhaseTrials] || last.Done < last.Of/2 {
			t.Errorf("%s: progress of %v ends at %d of %d", family, phases, last.Done, last.Of)
		}
		for _, s := range got {
			q := make()
			q.Config.Allocation, q.Config.Ratio = "uniform", map[coupled.Kind]float64{s.Kind: 0.6}
			if _, err := q.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, trial, _ := q.split()
			want, err := lossOf(q.Calibration, trial)
			// The same sums in another order.
			if err != nil || math.Abs(want-s.Loss[2]) > 1e-5*want {
				t.Errorf("%s %s kept 0.4: loss %g, of the cut model %g (%v)", family, s.Kind, s.Loss[2], want, err)
			}
		}
	}
}
