package train

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// counting is a corpus that a small model learns at once: arithmetic
// progressions modulo the vocabulary.
type counting struct {
	batch, context, vocab, at int
}

func (c *counting) Next() (data.Batch, error) {
	var ids, targets []int32
	for b := range c.batch {
		c.at++
		start, step := c.at*7+b*3, 1+c.at%3
		for t := range c.context {
			ids = append(ids, int32((start+t*step)%c.vocab))
			targets = append(targets, int32((start+(t+1)*step)%c.vocab))
		}
	}
	return data.Batch{N: c.batch, IDs: ids, Targets: targets}, nil
}

func tinyLoop(t *testing.T, family string, c Config) *Loop {
	t.Helper()
	return tinyLoopBy(t, family, c, func(*optim.Config) {})
}

// tinyLoopBy is tinyLoop with another optimizer, and weights as the configuration says.
func tinyLoopBy(t *testing.T, family string, c Config, edit func(*optim.Config)) *Loop {
	t.Helper()
	s := model.Sizes{Family: family, Layers: 2, Width: 32, Heads: 4, FFN: 64, Vocab: 17, Context: 16}
	if family == "llama" {
		s.KVHeads = 2
	}
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	if err := set.InitAs(c.Seed, param.DType(c.Weights)); err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	o := optim.Default()
	o.LR = 1e-2
	edit(&o)
	c.Context = 16
	c = c.Resolve(16)
	l := NewLoop(c, o.Resolve(c.Steps), m, set, pool, &counting{batch: c.Batch, context: 16, vocab: 17})
	t.Cleanup(l.Close)
	return l
}

func config(steps int) Config {
	c := Default()
	c.Steps, c.Batch = steps, 8
	return c
}

// TestTrainPrunesAndHeals runs the main job in small: the loss falls, the
// events shrink the model to its goal, and training goes on from there.
func TestTrainPrunesAndHeals(t *testing.T) {
	for _, family := range []string{"llama", "gpt2"} {
		t.Run(family, func(t *testing.T) {
			l := tinyLoop(t, family, config(120))
			pc := coupled.DefaultConfig()
			pc.Target, pc.Of, pc.Start, pc.End, pc.Events = "0.5x", "prunable", 0.3, 0.6, 3
			goal, err := pc.Goal(l.Set, nil)
			if err != nil {
				t.Fatal(err)
			}
			dense := l.Set.Count()
			p := &Pruner{Config: pc, Goal: goal, Dir: filepath.Join(t.TempDir(), "plans")}
			l.Attach(p.Hook())
			var losses []float64
			l.Attach(Hook{Name: "record", Step: func(l *Loop) error { losses = append(losses, l.Last.Loss); return nil }})
			if err := l.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if math.Abs(losses[0]-math.Log(17)) > 0.3 {
				t.Errorf("first loss is %g, expected about ln 17 = %.2f", losses[0], math.Log(17))
			}
			if last := losses[len(losses)-1]; last > 1.0 {
				t.Errorf("last loss is %g, expected below 1 (a progression's step shows after two tokens)", last)
			}
			if len(p.Events) != 3 {
				t.Fatalf("%d events, expected 3", len(p.Events))
			}
			for _, e := range p.Events {
				if e.ParamsAfter >= e.ParamsBefore || e.PlannedTo >= e.PlannedFrom {
					t.Errorf("event at step %d did not shrink: %+v", e.Step, e)
				}
			}
			if got := l.Set.Count(); got > goal.Params || got < goal.Params-dense/20 {
				t.Errorf("the run ends with %d parameters of %d, the goal is %d", got, dense, goal.Params)
			}
			if l.Evidence != nil {
				t.Error("evidence is still gathered after the last event")
			}
		})
	}
}

// TestMicroBatchesAddUp: accumulation over micro-batches gives the step of the whole batch.
func TestMicroBatchesAddUp(t *testing.T) {
	run := func(micro int) []float32 {
		c := config(5)
		c.MicroBatch = micro
		l := tinyLoop(t, "llama", c)
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return append([]float32(nil), l.Set.Weights.Data...)
	}
	a, b := run(8), run(2)
	for i := range a {
		// AdamW divides by the root of the second moment, so that float32
		// rounding of a small gradient can move a weight by a part of a step.
		if math.Abs(float64(a[i]-b[i])) > 2e-3 {
			t.Fatalf("weight %d is %g with one batch, %g with four", i, a[i], b[i])
		}
	}
}

// TestSameSeedSameBits: two runs of one configuration give the same weights to the bit.
func TestSameSeedSameBits(t *testing.T) {
	run := func() []float32 {
		l := tinyLoop(t, "gpt2", config(10))
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return append([]float32(nil), l.Set.Weights.Data...)
	}
	a, b := run(), run()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("weight %d differs: %g and %g", i, a[i], b[i])
		}
	}
}
