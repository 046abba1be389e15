package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/prune"
)

// TestCalibratedEvent: an event with a calibration pass applies the full recipe in
// the midst of a run, which heals: beside it the same cut without improvements
// costs more at once.
func TestCalibratedEvent(t *testing.T) {
	const steps, at = 120, 60
	// run returns the training losses of the step before the event, the step after it and the last.
	run := func(t *testing.T, family, optimizer string, full bool) (before, after, last float64) {
		l := tinyLoopBy(t, family, config(steps), func(c *optim.Config) { c.Name = optimizer })
		pc := coupled.DefaultConfig()
		pc.Target, pc.Of, pc.Start, pc.End, pc.Events, pc.Ramp = "0.5x", "prunable", 0.5, 0.5, 1, "one-shot"
		pc.Calibration = 16
		if full {
			pc.Allocation, pc.QKOrder, pc.Improve = "auto", coupled.OrderAttention, coupled.DefaultImprove()
		}
		if err := pc.Validate(); err != nil {
			t.Fatal(err)
		}
		goal, err := pc.Goal(l.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		corpus := counting{batch: pc.Calibration, context: 16, vocab: 17}
		text := prune.Sequences{Context: 16}
		text.Batch, _ = corpus.Next()
		p := &Pruner{Config: pc, Goal: goal, Dir: filepath.Join(t.TempDir(), "plans"), Calibration: text}
		l.Attach(p.Hook())
		l.Attach(Hook{Name: "record", Step: func(l *Loop) error {
			switch l.Step {
			case at:
				before = l.Last.Loss
				if got := l.Opt.Updates(); full && (got != 0) != (optimizer == "muon") {
					t.Errorf("%d updates of %s after a change of basis: only momentum can be carried", got, optimizer)
				}
				if l.Evidence != nil {
					t.Error("evidence is gathered in the steps as well")
				}
			case at + 1:
				after = l.Last.Loss
			}
			last = l.Last.Loss
			return nil
		}})
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(p.Events) != 1 || l.Set.Count() > goal.Params || len(l.Opt.Slabs()[0].Slab.Data) != l.Set.Len() {
			t.Fatalf("%d events, %d parameters for a goal of %d", len(p.Events), l.Set.Count(), goal.Params)
		}
		if _, err := os.Stat(filepath.Join(p.Dir, p.Events[0].Plan)); err != nil {
			t.Error(err)
		}
		return before, after, last
	}
	for _, family := range []string{"llama", "gpt2"} {
		t.Run(family, func(t *testing.T) {
			run(t, family, "muon", true)
			before, after, last := run(t, family, "adamw", true)
			_, plain, _ := run(t, family, "adamw", false)
			if rise, other := after-before, plain-before; rise > other/2 {
				t.Errorf("the loss rises by %g with the full recipe, by %g without", rise, other)
			}
			if last > before {
				t.Errorf("the loss ends at %g, was %g before the event", last, before)
			}
		})
	}
}
