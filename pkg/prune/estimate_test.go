package prune

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestEstimateIsWhatIsDone: operations are counted as they were estimated, trial cuts stay
// within the promise, and every phase is reported once.
func TestEstimateIsWhatIsDone(t *testing.T) {
	c := storable(t, "llama", param.BF16, true)
	p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Promise: 2.5, Scratch: t.TempDir()}
	p.Config.Target, p.Config.Of, p.Config.Allocation, p.Config.FFNOrder = "0.6x", "prunable", "auto", coupled.OrderRefit
	var last Working
	p.Working = func(e Working) {
		if e.Done < last.Done || e.Done > e.Of {
			t.Fatalf("progress goes from %+v to %+v", last, e)
		}
		last = e
	}
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for _, ph := range r.Phases {
		names = append(names, string(ph.Name))
		products := ph.FLOPs // without moments and refits, which are not products of a graph
		switch ph.Name {
		case PhaseBasis: // the last layer ends with its contexts
			if products > ph.Expected || products < ph.Expected*2/3 {
				t.Errorf("%s: %d operations, estimated %d", ph.Name, products, ph.Expected)
			}
		case PhaseEvidence:
			if math.Abs(float64(products-ph.Expected)) > 0.02*float64(ph.Expected) {
				t.Errorf("%s: %d operations, estimated %d", ph.Name, products, ph.Expected)
			}
		case PhaseOrder: // the products of moments and of the order are not those of a graph
			if products > ph.Expected || products < ph.Expected/5 {
				t.Errorf("%s: %d operations, estimated %d", ph.Name, products, ph.Expected)
			}
		case PhaseTrials, PhaseCompare:
			if products > ph.Expected*11/10 || products < ph.Expected/5 {
				t.Errorf("%s: %d operations, estimated %d", ph.Name, products, ph.Expected)
			}
		}
	}
	if got, want := strings.Join(names, ", "), "evaluation before, basis, evidence, order of channels, trial cuts, comparison of plans, refit and cut, evaluation after"; got != want {
		t.Errorf("phases are %s, expected %s", got, want)
	}
	if x := r.ofPlain(); !(x > 1 && x <= 2.5) {
		t.Errorf("the operations are %.2f times those of plain passes, promised 2.5 at most", x)
	}
	if s := r.Report().String(); !strings.Contains(s, "times forward and backward passes") || !strings.Contains(r.Estimate.String(), "trial cuts") {
		t.Errorf("the report says nothing of phases:\n%s", s)
	}
}

// TestSecondMomentsAreEstimated: phases make the passes for second moments that are estimated of
// them, wherever these lie between phases, and where a full disk leaves them nowhere, which is
// said and changes no plan.
func TestSecondMomentsAreEstimated(t *testing.T) {
	disk := freeSpace
	defer func() { freeSpace = disk }()
	var plan [][]int
	for _, at := range []struct {
		name                string
		scratch, checkpoint bool
		free                int64
		every, told         bool // each phase makes a pass; it is said that there is no room
	}{
		{name: "scratch", scratch: true, free: 1 << 40},
		{name: "full disk", scratch: true, free: 1 << 10, every: true, told: true},
		{name: "checkpoint", checkpoint: true, free: 1 << 10},
		{name: "nowhere", every: true},
	} {
		freeSpace = func(string) (int64, bool, error) { return at.free, true, nil }
		p := &Job{Calibration: storable(t, "llama", param.BF16, true), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Promise: 2.5}
		p.Config.Target, p.Config.Of, p.Config.Allocation, p.Config.FFNOrder = "0.6x", "prunable", "auto", coupled.OrderRefit
		if at.scratch {
			p.Scratch = t.TempDir()
		}
		if at.checkpoint {
			p.Checkpoint = t.TempDir()
		}
		told := false
		p.Notify = func(e Event) {
			_, full := e.(NoRoom)
			told = told || full
		}
		r, err := p.Run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", at.name, err)
		}
		if told != at.told {
			t.Errorf("%s: said that there is no room: %t, expected %t", at.name, told, at.told)
		}
		if kept := r.Plan().Decisions[2].Kept; plan == nil {
			plan = kept
		} else if !slices.EqualFunc(kept, plan, slices.Equal) {
			t.Errorf("%s: other units are kept", at.name)
		}
		for _, ph := range r.Phases {
			switch ph.Name {
			case PhaseRefit: // which runs the model for nothing but second moments
				if pass := ph.FLOPs > 0; pass != at.every {
					t.Errorf("%s: the refit makes a pass: %t, expected %t", at.name, pass, at.every)
				}
				fallthrough
			case PhaseOrder, PhaseTrials, PhaseCompare:
				if ph.FLOPs > ph.Expected*11/10 {
					t.Errorf("%s: %s takes %d operations, estimated %d", at.name, ph.Name, ph.FLOPs, ph.Expected)
				}
			}
		}
		r.Close()
	}
}

// TestStoreOfSomeLayers: where trial cuts are made in some layers only, the comparison of plans
// and the refit find the second moments of all.
func TestStoreOfSomeLayers(t *testing.T) {
	p := &Job{Calibration: storable(t, "llama", param.BF16, true), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Scratch: t.TempDir()}
	p.Config.Target, p.Config.Of, p.Config.Allocation, p.Config.FFNOrder = "0.6x", "prunable", "auto", coupled.OrderScore
	p.trial.every = 4
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, ph := range r.Phases {
		if ph.Name == PhaseRefit && ph.FLOPs > 0 {
			t.Errorf("the refit made a pass of %d operations, expected none", ph.FLOPs)
		}
	}
}

// TestTrialsFitThePromise: trial cuts read less of one sequence before they break the promise,
// and more sequences where there is room; heads in which nothing is predicted are not used.
func TestTrialsFitThePromise(t *testing.T) {
	p := &Job{Calibration: storable(t, "llama", param.BF16, true), Config: coupled.DefaultConfig(), Promise: 2.5}
	p.Config.Allocation = "sensitivity"
	targets := make([]int32, 4*512)
	p.Data = Sequences{512, data.Batch{N: 4, IDs: make([]int32, 4*512), Targets: targets}}
	k := costs{whole: 4e9, layer: 1e9, head: 1e9}
	for _, c := range []struct {
		room              int64
		sequences, tokens int
	}{{0, 1, 64}, {8e9, 1, 128}, {16e9, 1, 256}, {1e12, 4, 512}} {
		p.trial = trialChoice{}
		flops, err := p.chooseTrials(k, p.Data, c.room)
		if err != nil || p.trial.sequences != c.sequences || p.trial.tokens != c.tokens {
			t.Errorf("room for %d: %+v with %d operations (%v), expected %d tokens of %d", c.room, p.trial, flops, err, c.tokens, c.sequences)
		}
		if _, trial, _ := p.split(); trial.Context != c.tokens || len(trial.IDs) != c.tokens*min(2, c.sequences) {
			t.Errorf("trial cuts are measured on %d sequences of %d tokens, expected %d", trial.Len(), trial.Context, c.tokens)
		}
	}
	p.trial, p.Config.Allocation = trialChoice{}, "auto"
	_, trial, held := p.split()
	if _, _, err := p.chooseMeasuring(&roundWork{costs: k, trial: trial, held: held}); err != nil || p.trial.held != 1 {
		t.Errorf("plans are compared on %d of %d sequences (%v), expected 1 where there is no room", p.trial.held, held.Len(), err)
	}
	if _, _, held := p.split(); held.Len() != 1 {
		t.Errorf("%d held-out sequences, expected 1", held.Len())
	}
	for i := range 300 {
		targets[i] = -1
	}
	p.trial = trialChoice{}
	if _, err := p.chooseTrials(k, p.Data, 0); err != nil || p.trial.tokens != 512 {
		t.Errorf("%+v (%v), expected whole sequences where the first 300 tokens predict nothing", p.trial, err)
	}
}

// TestFit: the batch and the recomputation are the fastest that fit the room, and what is given
// is kept.
func TestFit(t *testing.T) {
	old := available
	defer func() { available = old }()
	p := &Job{Calibration: storable(t, "llama", param.BF16, true), Config: coupled.DefaultConfig()}
	bytes := func(batch int, r graph.Recompute) int64 {
		c := p.Calibration
		c.Batch, c.Recompute = batch, r
		plan, err := c.passPlan(coupled.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return plan.ArenaBytes()
	}
	for _, want := range []struct {
		batch int
		level graph.Recompute
	}{{4, graph.RecomputeLight}, {1, graph.RecomputeLight}, {1, graph.RecomputeLayer}} {
		available = func() (int64, string, bool) { return 2 * bytes(want.batch, want.level), "a test", true }
		c, err := p.fit()
		if err != nil || c.Batch != want.batch || c.Recompute != want.level {
			t.Errorf("batch %d, %s, expected %d, %s (%v)", c.Batch, c.Recompute, want.batch, want.level, err)
		}
	}
	p.Batch, p.Recompute = 3, graph.RecomputeAttention
	if c, err := p.fit(); err != nil || c.Batch != 3 || c.Recompute != graph.RecomputeAttention {
		t.Errorf("what was given became batch %d, %s (%v)", c.Batch, c.Recompute, err)
	}
}

// TestEnough: gathering ends once the halves agree, at a comparison, and says so; with fewer
// sequences than one comparison needs, or a criterion that reads more than gates, all are used.
func TestEnough(t *testing.T) {
	run := func(criterion string, n int, target string) *Result {
		c := calibration(t, "llama", n)
		p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Enough: true}
		p.Config.Target, p.Config.Of, p.Config.Criterion = target, "prunable", criterion
		p.DryRun = true
		r, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	r := run("fisher", 100, "0.25x") // most units go in any half
	s := r.Compared
	if s.Sequences%compareEvery != 0 || s.Sequences >= 100 || s.Overlap < agreement {
		t.Errorf("%d sequences with an overlap of %g", s.Sequences, s.Overlap)
	}
	if n := r.Evidence.Sequences("layer.0.ffn"); n != float64(s.Sequences) {
		t.Errorf("the evidence is of %g sequences, the result says %d", n, s.Sequences)
	}
	if s := run("fisher", 40, "0.97x").Compared; s.Sequences != 40 {
		t.Errorf("%d sequences where halves hardly agree (overlap %g)", s.Sequences, s.Overlap)
	}
	if s := run("activation", 40, "0.25x").Compared; s.Sequences != 40 || s.Overlap != -1 {
		t.Errorf("a criterion that reads activations: %+v", s)
	}
}

// TestPaddingDoesNotCount: what stands after the last document of a sequence changes nothing.
func TestPaddingDoesNotCount(t *testing.T) {
	c := calibration(t, "llama", 6)
	packed := func(pad int32) *coupled.Evidence {
		d := c
		d.Data.Starts, d.Data.Positions = make([]int32, 6*16), make([]int32, 6*16)
		d.Data.IDs, d.Data.Targets = append([]int32(nil), c.Data.IDs...), append([]int32(nil), c.Data.Targets...)
		for i := range d.Data.Starts {
			switch at := i % 16; {
			case at < 7:
				d.Data.Positions[i] = int32(at)
			case at < 12:
				d.Data.Starts[i], d.Data.Positions[i] = 7, int32(at-7)
			default:
				d.Data.Starts[i], d.Data.Targets[i], d.Data.IDs[i] = 16, -1, pad
			}
		}
		_, o := coupled.DefaultImprove().Options(c.Model.Scale())
		e, err := d.Gather(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		return e
	}
	var files [2]strings.Builder
	for i, pad := range []int32{0, 9} {
		if err := packed(pad).Save(&files[i], "llama", c.Set); err != nil {
			t.Fatal(err)
		}
	}
	if files[0].String() != files[1].String() {
		t.Error("evidence depends on what stands in padding rows")
	}
}
