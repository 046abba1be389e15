package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// net is a small model whose predictions differ from each other.
func net(t *testing.T, family string) Net {
	s := model.Sizes{Family: family, Layers: 2, Width: 24, Heads: 4, HeadDim: 6, FFN: 32, Vocab: 29, Context: 32}
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	set.Init(5)
	for i := range set.Weights.Data {
		set.Weights.Data[i] *= 6
	}
	t.Cleanup(func() { set.Weights.Close() })
	return Net{m, set}
}

// stage is a recovery of a model that lost half of its channels, on random tokens.
func stage(t *testing.T, family string, cut bool) *Stage {
	parent, child := net(t, family), net(t, family)
	if cut {
		half := make([]int, 16)
		for i := range half {
			half[i] = i
		}
		if err := child.Set.Shrink(param.Cut{"layer.0.ffn": {half}, "layer.1.ffn": {half}}); err != nil {
			t.Fatal(err)
		}
	}
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() data.Batch {
		b := data.Batch{N: 2, IDs: make([]int32, 32), Targets: make([]int32, 32)}
		for i := range b.IDs {
			b.IDs[i], b.Targets[i] = int32(rng.IntN(29)), int32(rng.IntN(29))
		}
		b.Targets[3] = -1
		return b
	}
	var all []data.Batch
	for range 100 {
		all = append(all, draw())
	}
	return &Stage{
		Options: Options{Tokens: 32 * 60, Context: 16, Batch: 2, Short: 0.3}, Parent: parent, Child: child, Pool: pool,
		Batches: &batches{list: all}, Short: &batches{list: all[50:]},
		Held: func(n Net, _ int) (Judge, error) { return newJudge(n, pool, all[:2]) },
	}
}

// batches go round a list.
type batches struct {
	list []data.Batch
	at   int
}

func (b *batches) Next() (data.Batch, error) {
	b.at++
	return b.list[(b.at-1)%len(b.list)], nil
}

func (b *batches) Cursor() data.Cursor { return data.Cursor{Index: b.at} }

func (b *batches) Seek(c data.Cursor) error {
	b.at = c.Index
	return nil
}

// judge is the mean loss of batches.
type judge struct {
	*graph.Machine
	on []data.Batch
}

func newJudge(n Net, pool *kernel.Pool, on []data.Batch) (judge, error) {
	b := graph.NewBuilder(n.Set, graph.BuildOptions{})
	n.Model.Loss(b, 2, 16, 0)
	m, err := b.Lower(graph.LowerOptions{Pool: pool})
	return judge{m, on}, err
}

func (j judge) Measure() (h Held, err error) {
	n := 0
	for _, b := range j.on {
		if err := errors.Join(b.Feed(j.Machine, 1), j.RunAll()); err != nil {
			return h, err
		}
		h.Loss += float64(j.Output("loss")[0])
		n += b.Predicted()
	}
	h.Loss /= float64(n)
	h.Positions = []float64{h.Loss}
	return h, nil
}

// TestRecovers: the divergence from the parent falls, whichever the family.
func TestRecovers(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		s := stage(t, family, true)
		s.Held = nil // random targets say nothing of a child; the parent's predictions do
		var kl []float64
		s.Progress = func(p Progress) {
			if least := 4 * int64(2*s.Parent.Set.Len()+3*s.Child.Set.Len()); p.Memory < least || p.Memory > 20*least {
				t.Errorf("%s: %d bytes, expected at least %d of weights and state", family, p.Memory, least)
			}
			if p.Step > 0 {
				kl = append(kl, p.KL)
			}
		}
		r, err := s.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		mean := func(x []float64) (m float64) {
			for _, v := range x {
				m += v / float64(len(x))
			}
			return m
		}
		if len(kl) != 60 || r.Steps != 60 || r.Tokens != 32*60 {
			t.Fatalf("%s: %d steps, %+v, expected 60", family, len(kl), r)
		}
		if first, last := mean(kl[:15]), mean(kl[45:]); !(last < 0.85*first) {
			t.Errorf("%s: from a divergence of %g to %g, expected much less", family, first, last)
		}
	}
}

// TestNothingToRecover: a child that is its parent has no divergence and no gradient.
func TestNothingToRecover(t *testing.T) {
	s := stage(t, "llama", false)
	s.Options = s.Resolve()
	r, err := newRunner(s)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	b, _ := r.batch(s.Batches, 1)
	kl, err := r.gradients(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.sites) != 4 {
		t.Errorf("the residual stream is compared at %v, expected after each of 4 sub-layers", r.sites)
	}
	norm := math.Sqrt(kernel.SumSquares(s.Pool, r.grads.Data))
	if math.Abs(kl) > 1e-6 || norm > 1e-4 { // float32 sums over the vocabulary
		t.Errorf("divergence %g, gradient %g, expected 0", kl, norm)
	}
}

// TestKeepsTheBest: where training only makes it worse, it stops early, and the
// child has the weights that it began with.
func TestKeepsTheBest(t *testing.T) {
	s := stage(t, "gpt2", true)
	s.Rate, s.Tokens, s.Patience = 1, 32*400, 1
	before := slices.Clone(s.Child.Set.Weights.Data)
	r, err := s.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.Best.Step == 0 && !slices.Equal(before, s.Child.Set.Weights.Data) {
		t.Error("the first weights were the best, but the child has others")
	}
	if !r.Stopped || r.Steps >= 400 || r.Best.Loss > r.Points[0].Loss {
		t.Errorf("%+v: expected to stop early with the best of its points", r)
	}
}

// TestLateLossesEndIt: only losses of the second half that do not fall any more end a recovery,
// however low one of the first half was.
func TestLateLossesEndIt(t *testing.T) {
	for _, c := range []struct {
		losses []float64 // of ten steps
		want   int
	}{
		{[]float64{3.7, 2.3, 2.28, 2.4, 2.47, 2.47, 2.46, 2.45, 2.4}, 0},
		{[]float64{3.7, 2.3, 2.28, 2.4, 2.47, 2.47, 2.49, 2.5, 2.49}, 3},
		{[]float64{3.7, 3.5, 3.6, 3.7, 3.8}, 0},
	} {
		r := &runner{Stage: &Stage{}, steps: 10}
		for i, x := range c.losses {
			r.result.Points = append(r.result.Points, Point{Step: i, Loss: x})
		}
		if n := r.worse(); n != c.want {
			t.Errorf("%v: %d worse, expected %d", c.losses, n, c.want)
		}
	}
}

func TestInterrupted(t *testing.T) {
	s := stage(t, "gpt2", true)
	ctx, cancel := context.WithCancel(context.Background())
	s.Progress = func(p Progress) {
		if p.Step == 7 {
			cancel()
		}
	}
	r, err := s.Run(ctx)
	if !errors.Is(err, ErrInterrupted) || r == nil || r.Steps != 7 {
		t.Errorf("%+v, %v: expected an interruption after step 7", r, err)
	}
}

// clockwork is a time that passes only in steps and measurements.
type clockwork struct {
	now        time.Time
	step, look time.Duration
	slow       time.Time // from when on steps take twice as long; zero is never
}

// ticking are batches that take their step's time, timed a judge whose measurements take theirs.
type ticking struct {
	batches
	*clockwork
}

func (b *ticking) Next() (data.Batch, error) {
	b.now = b.now.Add(b.step)
	if !b.slow.IsZero() && b.now.After(b.slow) {
		b.now = b.now.Add(b.step)
	}
	return b.batches.Next()
}

type timed struct {
	judge
	*clockwork
}

func (j timed) Measure() (Held, error) {
	j.now = j.now.Add(j.look)
	return j.judge.Measure()
}

// TestBudgetOfTimeIsKept: three minutes are three minutes to a tenth, by a clock that the test
// moves: where measurements take as long as many steps, which their operations do not say, and
// where steps become slower on the way.
func TestBudgetOfTimeIsKept(t *testing.T) {
	const budget = 180 * time.Second
	for _, c := range []struct {
		step, look, slow time.Duration
	}{{2 * time.Second, 0, 0}, {2 * time.Second, 3 * time.Second, 0}, {3 * time.Second, 20 * time.Second, 0}, {2 * time.Second, 45 * time.Second, 0}, {2 * time.Second, 4 * time.Second, 60 * time.Second}} {
		s := stage(t, "gpt2", true)
		s.Tokens, s.Time, s.Patience = 0, budget, 100
		clock := &clockwork{now: time.Unix(0, 0), step: c.step, look: c.look}
		if c.slow > 0 {
			clock.slow = clock.now.Add(c.slow)
		}
		s.now = func() time.Time { return clock.now }
		list := s.Batches.(*batches).list
		s.Batches, s.Short = &ticking{batches{list: list}, clock}, &ticking{batches{list: list[50:]}, clock}
		s.Held = func(n Net, _ int) (Judge, error) {
			j, err := newJudge(n, s.Pool, list[:2])
			return timed{j, clock}, err
		}
		r, err := s.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		took := clock.now.Sub(time.Unix(0, 0))
		if took < budget*9/10 || took > budget*11/10 {
			t.Errorf("steps of %s, measurements of %s, slower from %s on: %s of a budget of %s (%d steps, %d measurements)", c.step, c.look, c.slow, took, budget, r.Steps, len(r.Points))
		}
		if last := r.Points[len(r.Points)-1]; len(r.Points) < 2 || last.Step != r.Steps {
			t.Errorf("steps of %s, measurements of %s: %d measurements, the last at step %d of %d", c.step, c.look, len(r.Points), last.Step, r.Steps)
		}
	}
}

func TestOptions(t *testing.T) {
	o := Options{Tokens: 10_000, Context: 512}.Resolve()
	if o.Batch != 1 || o.steps() != 19 || (Options{Context: 100}).Resolve().Batch != 5 {
		t.Errorf("%+v: batches should have about 512 tokens", o)
	}
	if p := o.pull(0, 10); p != 1 {
		t.Errorf("the first pull is %g, expected 10 over 10 sites", p)
	}
	if p := o.pull(int(DefaultFade/512)+1, 10); p != 0 {
		t.Errorf("the pull has not faded: %g", p)
	}
	for context, want := range map[int]int{512: 4, 500: 2, 2048: 16, 100: 1, 254: 1} {
		if n := (Options{Context: context}).Resolve().Windows(); n != want {
			t.Errorf("%d windows in %d tokens, expected %d", n, context, want)
		}
	}
	for steps, want := range map[int]int{100: 85, 390: 332, 2539: 333, 100_000: 333} {
		if n := (Options{Context: 512}).Resolve().short(steps); n != want {
			t.Errorf("%d of %d steps have short windows, expected %d", n, steps, want)
		}
	}
	for _, c := range []struct {
		given, damage float64
		steps         int
		want          float64
	}{
		{0, 2.39, 390, 0.024}, {0, 0.716, 3320, 0.00587}, {0, 0.716, 546, 0.01449}, {0, math.NaN(), 100, 0.024}, {0.1, 2, 10_000, 0.1}, {0, -1, 100, 0.004},
	} {
		if r := (Options{Optimizer: Apollo, Rate: c.given}).Resolve().rate(c.damage, c.steps); c.given == 0 && math.Abs(r-apolloRate*c.want) > 1e-4 {
			t.Errorf("%+v: a rate of %g by apollo", c, r)
		}
		if r := (Options{Rate: c.given}).Resolve().rate(c.damage, c.steps); math.Abs(r-c.want) > 1e-4*c.want+1e-5 {
			t.Errorf("%+v: a rate of %g", c, r)
		}
	}
	if n := (Options{Context: 512, Short: -1}).Resolve().short(100); n != 0 {
		t.Errorf("%d steps have short windows, expected none", n)
	}
	for _, bad := range []Options{{Context: 5}, {Tokens: 5}, {Tokens: 5, Context: 9, Rate: 2}, {Tokens: 5, Context: 9, LM: 1}} {
		if bad.Resolve().check() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestResumes: interrupted and gone on with from what was saved, a recovery ends with the
// same weights and the same measurements as one that was not.
func TestResumes(t *testing.T) {
	resumes(t, func() *Stage { return stage(t, "llama", true) })
	resumes(t, func() *Stage { return apolloStage(t, "llama", graph.RecomputeLayer) })
}

func resumes(t *testing.T, stage func() *Stage) {
	whole := stage()
	want, err := whole.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s := stage()
	cut := weights(s)
	ctx, cancel := context.WithCancel(context.Background())
	s.Progress = func(p Progress) {
		if p.Step == 23 {
			cancel()
		}
	}
	kept := map[string][]float32{}
	var state State
	s.Save = func(st State, parts []Saved) error {
		if slices.Equal(weights(s), cut) != (st.Result.Best.Step == 0) {
			t.Error("the child does not have its best weights while it is saved")
		}
		state = st
		for _, x := range parts {
			kept[x.Name] = slices.Concat(x.Runs...)
		}
		return nil
	}
	if _, err := s.Run(ctx); !errors.Is(err, ErrInterrupted) || state.Step != 23 || len(kept) < 4 {
		t.Fatalf("%v: %d parts of step %d were saved, expected 4 or more of step 23", err, len(kept), state.Step)
	}
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	again := stage()
	again.From = new(State)
	if err := json.Unmarshal(text, again.From); err != nil {
		t.Fatal(err)
	}
	again.Restore = func(parts []Saved) error {
		for _, x := range parts {
			at := kept[x.Name]
			for _, run := range x.Runs {
				at = at[copy(run, at):]
			}
		}
		return nil
	}
	got, err := again.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(weights(again), weights(whole)) || got.Steps != want.Steps || got.Best.Loss != want.Best.Loss || len(got.Points) != len(want.Points) {
		t.Errorf("resumed: %+v, expected %+v", got, want)
	}
}
