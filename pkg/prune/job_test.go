package prune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

func calibration(t *testing.T, family string, n int) Calibration {
	t.Helper()
	s := model.Sizes{Family: family, Layers: 3, Width: 24, Heads: 4, HeadDim: 6, FFN: 20, Vocab: 31, Context: 16}
	if family != "gpt2" && family != "bert" {
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
	set.Init(1)
	for i := range set.Weights.Data {
		set.Weights.Data[i] *= 6 // so that what is cut is felt
	}
	rng := rand.New(rand.NewPCG(1, 1))
	data := Sequences{Context: 16}
	data.N = n
	for range n * 16 {
		data.IDs, data.Targets = append(data.IDs, rng.Int32N(31)), append(data.Targets, rng.Int32N(31))
	}
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	return Calibration{Model: m, Set: set, Pool: pool, Data: data}
}

// TestTrialsAreTheCutModel: the loss of a trial, which runs only the layers from
// the first one cut on, is that of the model after the plan is carried out.
func TestTrialsAreTheCutModel(t *testing.T) {
	for _, family := range []string{"gpt2", "llama", "qwen3", "olmo2", "gemma2", "gemma3_text", "smollm3", "granite"} {
		c := calibration(t, family, 10)
		p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove()}
		p.Config.Target, p.Config.Of, p.Config.SkipLayers = "0.6x", "prunable", []int{0}
		p.DryRun = true
		res, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plan := res.Plans[0]
		if coupled.FirstLayer(c.Set, plan.Cut()) == 0 {
			t.Fatal("layer 0 was to stay whole")
		}
		_, trial, _ := p.split()
		l := p.trials(res.Evidence)
		// A trial of the first layer begins with the data, others with the streams of others.
		first := param.Cut{"layer.0.ffn": param.Keep{{0}}}
		losses, err := l.Losses([]param.Cut{nil, first, plan.Cut(), nil}, trial)
		if err != nil {
			t.Fatal(err)
		}
		whole, want := losses[0], losses[2]
		if losses[1] == whole || losses[3] != whole || l.Runs != 4 {
			t.Errorf("%s: losses are %v after %d trials", family, losses, l.Runs)
		}
		if again, err := l.Losses([]param.Cut{plan.Cut()}, trial); err != nil || again[0] != want {
			t.Errorf("%s: a trial by itself gives %v, together with others %g (%v)", family, again, want, err)
		}
		if err := apply(p, plan, res.Evidence); err != nil {
			t.Fatal(err)
		}
		got, err := lossOf(c, trial)
		// The same sums in another order.
		if err != nil || math.Abs(got-want) > 1e-5*want {
			t.Errorf("%s: loss after the cut is %g, the trial said %g (whole %g, %v)", family, got, want, whole, err)
		}
	}
}

// lossOf is the loss of the model as it is.
func lossOf(c Calibration, data Sequences) (float64, error) {
	s := c.newStream(data)
	defer s.Close()
	return s.loss()
}

// TestGatherIsTheSameInAnyBatch: how sequences are batched, and what is left over
// at the end, does not show in the scores.
func TestGatherIsTheSameInAnyBatch(t *testing.T) {
	scores := func(batch int) coupled.Scores {
		c := calibration(t, "llama", 7)
		c.Batch = batch
		e, err := c.Gather(coupled.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := coupled.Score("fisher", &coupled.Context{Set: c.Set, Evidence: e}, coupled.Groups(c.Set))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := scores(1), scores(3)
	for dim, lists := range a {
		for l, units := range lists {
			for u, x := range units {
				// Squares of float32 sums: twice their rounding.
				if y := b[dim][l][u]; math.Abs(x-y) > 1e-4*x+1e-12 {
					t.Errorf("%s list %d unit %d: %g one at a time, %g in threes", dim, l, u, x, y)
				}
			}
		}
	}
}

func TestRunMeetsItsTarget(t *testing.T) {
	for name, edit := range map[string]func(*Job){
		"full recipe": func(p *Job) {
			p.Config.Allocation, p.Config.QKOrder, p.Config.FFNOrder = "auto", coupled.OrderAttention, coupled.OrderRefit
		},
		"plain":       func(p *Job) { p.Improve = coupled.Improve{Basis: "none", Compensate: "none", Ridge: 1e-3} },
		"rounds":      func(p *Job) { p.Rounds, p.Config.FFNOrder = 3, coupled.OrderRefit },
		"fisher-diag": func(p *Job) { p.Config.Criterion = "fisher-diag" },
		"activation":  func(p *Job) { p.Config.Criterion = "activation" },
		"heads":       func(p *Job) { p.Config.Kinds = []coupled.Kind{coupled.Head, coupled.FFN} },
	} {
		t.Run(name, func(t *testing.T) {
			p := &Job{Calibration: calibration(t, "llama", 8), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove()}
			p.Config.Target, p.Config.Of = "0.5x", "prunable"
			edit(p)
			goal, err := p.Config.Goal(p.Set, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := p.Set.Count(); n > goal.Params || n < goal.Params*8/10 {
				t.Errorf("%d parameters are left, the goal is %d", n, goal.Params)
			}
		})
	}
}

func TestUncoupledKeepsShapes(t *testing.T) {
	p := &Job{Calibration: calibration(t, "gpt2", 4), Config: coupled.DefaultConfig(), Improve: coupled.Improve{Basis: "none", Compensate: "none", Ridge: 1e-3}, Uncoupled: true}
	p.Config.Target, p.Config.Of = "0.5x", "prunable"
	before := p.Set.Count()
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Set.Count() != before || len(r.Zeros) == 0 {
		t.Errorf("%d of %d parameters, %d rows zeroed", p.Set.Count(), before, len(r.Zeros))
	}
}

// TestKnownTrials: losses known from another size give the plan that measuring gives.
func TestKnownTrials(t *testing.T) {
	plan := func(target string, known map[string]float64) (*coupled.Plan, int) {
		p := &Job{Calibration: calibration(t, "llama", 8), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Known: known}
		p.Config.Target, p.Config.Of, p.Config.Allocation = target, "prunable", "sensitivity"
		p.DryRun = true
		r, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r.Plans[0], r.Trials
	}
	known := map[string]float64{}
	if _, n := plan("0.7x", known); n < 10 || n != len(known) {
		t.Fatalf("%d trials, %d known", n, len(known))
	}
	want, _ := plan("0.5x", nil)
	got, n := plan("0.5x", known)
	if n != 0 || fmt.Sprint(got.Cut()) != fmt.Sprint(want.Cut()) {
		t.Errorf("%d trials more; the plan is %v, expected %v", n, got.Cut(), want.Cut())
	}
}

// apply carries out a plan made for the set as it is: the improvements that it
// records, then the cut.
func apply(p *Job, plan *coupled.Plan, e *coupled.Evidence) error {
	c := p.Calibration
	c.Data, _, _ = p.split()
	return p.carryOut(c, plan, e)
}
