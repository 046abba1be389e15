package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ecospa/ecospa/internal/dist/disttest"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/prune"
)

// history is what a run of some ranks leaves.
type history struct {
	losses  []float64
	weights []float32
	plans   []string
	params  int
	sent    []int64 // bytes of each step, rank 0
}

// runRanks trains a tiny model on n ranks in this process, with two pruning events.
func runRanks(t *testing.T, family string, n int, edit func(*Config), more ...func(*Pruner)) history {
	t.Helper()
	c := config(60)
	if edit != nil {
		edit(&c)
	}
	groups := disttest.Local(n)
	var wait sync.WaitGroup
	var out history
	errs := make([]error, n)
	dir := t.TempDir()
	loops := make([]*Loop, n)
	for r := range n {
		loops[r] = tinyLoop(t, family, c)
	}
	for r, g := range groups {
		l := loops[r]
		pc := coupled.DefaultConfig()
		pc.Target, pc.Of, pc.Events, pc.Start, pc.End = "0.5x", "prunable", 2, 0.3, 0.6
		goal, err := pc.Goal(l.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n > 1 {
			if err := l.Join(g); err != nil {
				t.Fatal(err)
			}
		}
		p := &Pruner{Config: pc, Goal: goal, Dir: filepath.Join(dir, fmt.Sprint(r))}
		for _, f := range more {
			f(p)
		}
		l.Attach(p.Hook())
		l.Attach(Hook{Name: "test", Step: func(l *Loop) error {
			if r == 0 {
				out.losses = append(out.losses, l.Last.Loss)
				out.sent = append(out.sent, l.Group().Sent())
			}
			return nil
		}})
		wait.Go(func() { errs[r] = l.Run(t.Context()) })
	}
	wait.Wait()
	for r, err := range errs {
		if err != nil {
			t.Fatalf("rank %d: %v", r, err)
		}
	}
	for r := range n - 1 {
		for i, w := range loops[0].Set.Weights.Data {
			if loops[r+1].Set.Weights.Data[i] != w {
				t.Fatalf("weight %d differs on rank %d", i, r+1)
			}
		}
	}
	out.weights, out.params = loops[0].Set.Weights.Data, loops[0].Set.Count()
	files, _ := filepath.Glob(filepath.Join(dir, "0", "*.json"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out.plans = append(out.plans, string(text))
	}
	return out
}

// kept is a plan without its scores, whose last bits depend on the order of sums.
func kept(plan string) string {
	p, err := coupled.ReadPlan(strings.NewReader(plan))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(p.Cut())
}

// TestRanksAreOneProcess: the losses are those of a single process but for the order
// of sums, and so are the plans; micro-batches and bfloat16 on the wire included.
func TestRanksAreOneProcess(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		one := runRanks(t, family, 1, nil)
		if len(one.plans) != 2 {
			t.Fatalf("%d plans, expected 2", len(one.plans))
		}
		for name, c := range map[string]struct {
			ranks     int
			edit      func(*Config)
			tolerance float64 // relative, of a loss: float32 sums in another order, amplified by 60 steps
		}{
			"two":           {2, nil, 1e-4},
			"four":          {4, nil, 1e-4},
			"micro-batches": {2, func(c *Config) { c.MicroBatch = 2 }, 1e-4},
			"shards":        {4, func(c *Config) { c.ShardOptimizer = true }, 1e-4},
			"bf16":          {2, func(c *Config) { c.Wire = WireBF16 }, 3e-2}, // gradients of 8 bits
		} {
			many := runRanks(t, family, c.ranks, c.edit)
			for i, want := range one.losses {
				if math.Abs(many.losses[i]-want) > c.tolerance*want {
					t.Errorf("%s %s: loss of step %d is %g, of a single process %g", family, name, i+1, many.losses[i], want)
					break
				}
			}
			if many.params != one.params {
				t.Errorf("%s %s: %d parameters are left, of a single process %d", family, name, many.params, one.params)
			}
			for i := range one.plans {
				if name != "bf16" && kept(many.plans[i]) != kept(one.plans[i]) {
					t.Errorf("%s %s: plan %d differs from that of a single process", family, name, i)
				}
			}
			// The wire carries the gradients and little else, and less after pruning.
			first, last := many.sent[1]-many.sent[0], many.sent[59]-many.sent[58]
			if name == "two" && (last >= first || last > 5*int64(many.params)) {
				t.Errorf("%s: %d bytes a step at first, %d with %d parameters", family, first, last, many.params)
			}
			if two := int64(2); name == "bf16" && last > 3*two*int64(many.params)/2 {
				t.Errorf("%s: %d bytes a step in bfloat16 with %d parameters", family, last, many.params)
			}
		}
	}
}

// TestCalibratedRanksAreOneProcess: events with calibration passes of their own, the
// full recipe and a split optimizer included.
func TestCalibratedRanksAreOneProcess(t *testing.T) {
	calibrated := func(p *Pruner) {
		p.Config.Calibration, p.Config.Allocation, p.Config.Improve = 10, "auto", coupled.DefaultImprove()
		corpus := counting{batch: p.Config.Calibration, context: 16, vocab: 17}
		p.Calibration = prune.Sequences{Context: 16}
		p.Calibration.Batch, _ = corpus.Next()
	}
	for _, family := range []string{"gpt2", "llama"} {
		one := runRanks(t, family, 1, nil, calibrated)
		for name, edit := range map[string]func(*Config){"whole": nil, "shards": func(c *Config) { c.ShardOptimizer = true }} {
			many := runRanks(t, family, 2, edit, calibrated)
			for i, want := range one.losses {
				// Bases and refits amplify the order of sums more than steps do.
				if math.Abs(many.losses[i]-want) > 2e-3*want {
					t.Errorf("%s %s: loss of step %d is %g, of a single process %g", family, name, i+1, many.losses[i], want)
					break
				}
			}
			for i := range one.plans {
				if kept(many.plans[i]) != kept(one.plans[i]) {
					t.Errorf("%s %s: plan %d differs from that of a single process", family, name, i)
				}
			}
		}
	}
}

func TestJoinRefuses(t *testing.T) {
	l := tinyLoop(t, "gpt2", config(1))
	if err := l.Join(disttest.Local(3)[0]); err == nil || !strings.Contains(err.Error(), "3 ranks") {
		t.Errorf("a batch of %d on 3 ranks: %v", l.Batch, err)
	}
	l.MicroBatch = 3
	if err := l.Join(disttest.Local(2)[0]); err == nil || !strings.Contains(err.Error(), "micro_batch") {
		t.Errorf("micro-batches of 3 of %d: %v", l.Batch/2, err)
	}
}

// TestRanksThatDifferAreCaught: a weight changed on one rank ends all at the next event.
func TestRanksThatDifferAreCaught(t *testing.T) {
	groups, errs := disttest.Local(2), make([]error, 2)
	var wait sync.WaitGroup
	for r, g := range groups {
		l := tinyLoop(t, "llama", config(60))
		pc := coupled.DefaultConfig()
		pc.Target, pc.Events, pc.Start, pc.End = "0.9x", 1, 0.3, 0.3
		goal, err := pc.Goal(l.Set, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Join(g); err != nil {
			t.Fatal(err)
		}
		l.Attach(Hook{Name: "damage", Step: func(l *Loop) error {
			if r == 1 && l.Step == 10 {
				l.Set.Weights.Data[5] += 1e-3
			}
			return nil
		}})
		p := &Pruner{Config: pc, Goal: goal, Dir: filepath.Join(t.TempDir(), "plans")}
		l.Attach(p.Hook())
		wait.Go(func() { errs[r] = l.Run(t.Context()) })
	}
	wait.Wait()
	for r, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "1 of 2 ranks differ") {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}
