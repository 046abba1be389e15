package recovery

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// apolloStage is stage with one copy of the child's weights, as bfloat16.
func apolloStage(t *testing.T, family string, recompute graph.Recompute) *Stage {
	s := stage(t, family, true)
	if err := s.Child.Set.StoreAll(param.BF16); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Child.Set.Close)
	s.Optimizer, s.Recompute = Apollo, recompute
	return s
}

// weights is a copy of a child's weights as they are stored.
func weights(s *Stage) (all []float32) {
	for _, run := range s.Child.Set.Words() {
		all = append(all, run...)
	}
	return all
}

// TestApolloRecovers: the divergence falls with weights that are bfloat16 and updates in the
// backward pass, to the same bits whatever is computed again; no slab of gradients exists.
func TestApolloRecovers(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		var ends [][]float32
		for _, level := range []graph.Recompute{graph.KeepAll, graph.RecomputeLayer} {
			s := apolloStage(t, family, level)
			s.Held = nil
			var kl []float64
			s.Progress = func(p Progress) {
				if p.Step > 0 {
					kl = append(kl, p.KL)
				}
			}
			r, err := s.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			first, last := 0.0, 0.0
			for i := range 15 {
				first, last = first+kl[i]/15, last+kl[len(kl)-1-i]/15
			}
			if !(last < 0.93*first) || r.Optimizer != Apollo {
				t.Errorf("%s, %s: from a divergence of %g to %g by %s, expected much less by apollo", family, level, first, last, r.Optimizer)
			}
			if s.Child.Set.Float32() == nil {
				t.Errorf("%s: the weights have become float32", family)
			}
			ends = append(ends, weights(s))
		}
		if !slices.Equal(ends[0], ends[1]) {
			t.Errorf("%s: recomputation changes the weights", family)
		}
	}
}

// TestTryChangesNothing: the steps that take the time leave weights and state as they were.
func TestTryChangesNothing(t *testing.T) {
	for _, s := range []*Stage{stage(t, "llama", true), apolloStage(t, "llama", graph.KeepAll)} {
		s.Options = s.Resolve()
		r, err := newRunner(s)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		before, at := weights(s), s.Batches.Cursor()
		if err := r.try(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(weights(s), before) || !reflect.DeepEqual(s.Batches.Cursor(), at) || r.opt.Updates() != 0 || r.norm != 0 {
			t.Errorf("%q: weights, place or state are not what they were", s.Optimizer)
		}
		for _, x := range r.opt.Slabs() {
			if i := slices.IndexFunc(x.Slab.Data, func(v float32) bool { return v != 0 }); i >= 0 {
				t.Errorf("%q: %s is not zero", s.Optimizer, x.Name)
			}
		}
	}
}

func TestWeightsThatCannotBeTrained(t *testing.T) {
	s := apolloStage(t, "llama", graph.KeepAll)
	s.Optimizer = ""
	if _, err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "adamw trains weights in float32") {
		t.Errorf("bfloat16 by adamw: %v", err)
	}
	s.Optimizer = "sgd"
	if _, err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), `optimizer "sgd", expected adamw or apollo`) {
		t.Errorf("an optimizer that there is not: %v", err)
	}
}

// TestPlanIsWhatIsTaken: planned bytes and operations are those of the machines that are made.
func TestPlanIsWhatIsTaken(t *testing.T) {
	for _, s := range []*Stage{stage(t, "llama", true), apolloStage(t, "llama", graph.RecomputeLayer)} {
		shapes := Shapes{Model: s.Parent.Model, Set: s.Parent.Set, Parent: param.F32, Child: param.F32, Share: 1}
		if s.Optimizer == Apollo {
			shapes.Child = param.BF16
		}
		s.Options = s.Resolve()
		plan, err := s.Plan(shapes)
		if err != nil {
			t.Fatal(err)
		}
		child := net(t, "llama") // as large as the parent, as is planned
		if err := child.Set.StoreAll(shapes.Child); err != nil {
			t.Fatal(err)
		}
		s.Child = child
		r, err := newRunner(s)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		if took := r.bytes(); math.Abs(float64(plan.Total()-took)) > 0.02*float64(took) {
			t.Errorf("%q: %d bytes planned (%s), %d taken", s.Optimizer, plan.Total(), plan.Memory, took)
		}
		if plan.work != r.work {
			t.Errorf("%q: operations %+v planned, %+v made", s.Optimizer, plan.work, r.work)
		}
		half := shapes
		half.Share = 0.5
		if p, err := s.Plan(half); err != nil || p.Total() >= plan.Total() || p.FLOPs(s.Options) >= plan.FLOPs(s.Options) {
			t.Errorf("%q: half a child takes %d bytes, a whole one %d (%v)", s.Optimizer, p.Total(), plan.Total(), err)
		}
		shapes.Set = s.Parent.Set.Like() // without storage
		if p, err := s.Plan(shapes); err != nil || p.Memory != plan.Memory {
			t.Errorf("%q: %+v planned without storage, %+v with (%v)", s.Optimizer, p.Memory, plan.Memory, err)
		}
	}
}

// TestChoose: adamw where it fits, with recomputation where that is enough, else apollo.
func TestChoose(t *testing.T) {
	s := stage(t, "llama", true)
	shapes := Shapes{Model: s.Parent.Model, Set: s.Parent.Set.Like(), Parent: param.F32, Share: 0.7}
	most, err := s.Options.Choose(shapes, "", math.MaxInt64)
	if err != nil || most.Optimizer != AdamW || most.Recompute != graph.KeepAll || !most.Fits || most.AdamW != most.Plan.Total() {
		t.Fatalf("%+v (%v), expected adamw", most, err)
	}
	least, err := s.Options.Choose(shapes, "", 0)
	if err != nil || least.Optimizer != Apollo || least.Weights != param.BF16 || least.Fits || least.Plan.Total() > most.Plan.Total()*2/3 {
		t.Fatalf("%+v (%v), expected apollo, and that it does not fit", least, err)
	}
	room := func(n int64) int64 { return n + n/16 }
	for _, c := range []struct {
		of   param.DType
		free int64
		want Chosen
	}{
		{"", room(most.Plan.Total()), Chosen{Optimizer: AdamW, Recompute: graph.KeepAll, Fits: true}},
		{"", room(most.Plan.Total()) - 1, Chosen{Optimizer: AdamW, Recompute: graph.RecomputeLayer, Fits: true}},
		{"", room(least.Plan.Total()), Chosen{Optimizer: Apollo, Recompute: graph.RecomputeLayer, Fits: true}},
		{param.F32, room(least.Plan.Total()), Chosen{Optimizer: AdamW, Recompute: graph.RecomputeLayer}},
		{param.BF16, math.MaxInt64, Chosen{Optimizer: Apollo, Recompute: graph.RecomputeLayer, Fits: true}},
	} {
		got, err := s.Options.Choose(shapes, c.of, c.free)
		if err != nil || got.Optimizer != c.want.Optimizer || got.Recompute != c.want.Recompute || got.Fits != c.want.Fits {
			t.Errorf("%q in %d bytes: %s, %s, fits %t (%v), expected %+v", c.of, c.free, got.Optimizer, got.Recompute, got.Fits, err, c.want)
		}
	}
	if line := least.String(); !strings.Contains(line, "by apollo on one copy of the weights: adamw would take ") {
		t.Errorf("the plan says %q", line)
	}
}

// TestMeasuringIsInProportion: what is measured takes a quarter of the training's operations at
// most, or one batch a time where that is more.
func TestMeasuringIsInProportion(t *testing.T) {
	o := Options{Context: 512}.Resolve()
	w := work{step: 6200, parent: 2000, child: 1400} // a child of 0.7 of its parent
	for _, c := range []struct{ steps, times, tokens int }{
		{1, 1, 512}, {4, 1, 512}, {20, 3, 2048}, {98, 10, 4096}, {256, 10, 8192}, {100_000, 10, 8192},
	} {
		m := o.measuring(c.steps, w)
		if m.times != c.times || m.tokens != c.tokens {
			t.Errorf("%d steps: measured %d times on %d tokens, expected %d on %d", c.steps, m.times, m.tokens, c.times, c.tokens)
		}
		took := int64(m.tokens/512) * (w.parent + int64(m.times+1)*w.child)
		if m.flops != took || took > max(int64(c.steps)*w.step/4, w.parent+2*w.child) {
			t.Errorf("%d steps: measuring takes %d operations (%d by the plan), training %d", c.steps, took, m.flops, int64(c.steps)*w.step)
		}
	}
	r := &runner{Stage: &Stage{Options: o, Held: func(Net, int) (Judge, error) { return nil, nil }}, work: w, each: time.Second, start: time.Now()}
	for _, seconds := range []float64{10, 200, 5000} {
		r.Time = time.Duration(seconds * 1e9)
		n := r.within()
		if all := float64(n) + float64(r.measuring(n, w).flops)/float64(w.step); all > 1.05*seconds || all < 0.85*seconds {
			t.Errorf("%g seconds: %d steps of a second, with measurements %g", seconds, n, all)
		}
	}
}

// TestTimeIsKept: steps that take longer than the first ones did are fewer, and the last of them
// is the last by the schedule too.
func TestTimeIsKept(t *testing.T) {
	r := &runner{Stage: &Stage{Options: Options{Context: 512, Time: 100 * time.Second}.Resolve()}, step: 4, spent: 20 * time.Second, before: 20 * time.Second, start: time.Now()}
	r.plan(80)
	if r.hurry(); r.steps != 15 && r.steps != 16 { // 60 s are left, of 5 s a step
		t.Errorf("%d steps, expected 16", r.steps)
	}
	if r.before = 90 * time.Second; r.steps > r.step {
		if r.hurry(); r.steps != r.step || r.optConfig.Rate(r.step, r.steps) != 0 {
			t.Errorf("%d steps with the time over, expected %d and a rate of 0", r.steps, r.step)
		}
	}
	r.before, r.looked, r.look, r.measured = 30*time.Second, 10*time.Second, 5*time.Second, measuring{times: 4, flops: 60}
	r.Held = func(Net, int) (Judge, error) { return nil, nil }
	if r.plan(40); r.ahead() != 4 {
		t.Errorf("%d measurements are to come, expected 4", r.ahead())
	}
	if r.hurry(); r.steps != 9 && r.steps != 10 { // 50 s are left, 20 of them for measurements, of 5 s a step
		t.Errorf("%d steps beside measurements, expected 10", r.steps)
	}
	r.each = 2 * time.Second
	if r.replan(100 * time.Second); r.measured.times != 4 || r.steps != 40 || r.measured.flops != 60 {
		t.Errorf("%d steps and %+v, expected 40 and 4 measurements", r.steps, r.measured)
	}
	r.look = 20 * time.Second
	if r.replan(100 * time.Second); r.measured.times != 1 || r.steps != 40 || r.measured.flops != 30 {
		t.Errorf("%d steps and %+v, expected 40 and one measurement", r.steps, r.measured)
	}
	r.Tokens, r.before = 1000, 0
	r.plan(80)
	if r.hurry(); r.steps != 80 {
		t.Errorf("%d steps of a budget of tokens, expected 80", r.steps)
	}
}
