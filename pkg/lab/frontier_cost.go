package lab

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/workload"
)

// cost is what a sequence costs in the products of matrices.
type cost struct {
	params        int
	forward, step float64 // operations of a forward pass, and of a pass both ways
}

// costOf plans passes over one sequence. The set needs no storage.
func costOf(m model.Model, set *param.Set, context int) (c cost, err error) {
	c.params = set.Count()
	for _, p := range []struct {
		to    *float64
		train bool
	}{{&c.forward, false}, {&c.step, true}} {
		b := graph.NewBuilder(set, graph.BuildOptions{Train: p.train})
		m.Loss(b, 1, context, 0)
		plan, err := b.Plan(graph.PlanOptions{})
		if err != nil {
			return c, err
		}
		*p.to = float64(plan.FLOPs())
	}
	return c, nil
}

// models are the big model and the goal of its pruning.
type models struct {
	vocab    int
	big      cost
	head     float64 // operations of a forward pass that pruning leaves as they are
	prunable int     // parameters
	goal     coupled.Goal
}

// prepare reads the text and says what a way may take.
func (f *frontier) prepare() error {
	if err := os.MkdirAll(f.Out, 0o755); err != nil {
		return err
	}
	if err := f.readText(); err != nil {
		return err
	}
	r := f.Train
	f.context = cmp.Or(r.Train.Context, r.Model.Context, 256) // as run has it
	m, set, err := f.layout(r)
	if err != nil {
		return err
	}
	if f.big, err = costOf(m, set, f.context); err != nil {
		return err
	}
	w, _ := m.Head(set)
	f.head, f.prunable = 2*float64(w.Size()*f.context), coupled.Prunable(set)
	if f.goal, err = r.Prune.Goal(set, nil); err != nil {
		return fault.Usage(err)
	}
	f.budget = float64(r.Train.Steps*r.Train.Batch) * f.big.step
	return nil
}

// readText counts the tokens of the training part, and keeps the tokenizer that all runs have.
func (f *frontier) readText() error {
	cache := data.Cache{Dir: f.cache()}
	from := f.Train.Tokenizer
	if _, err := os.Stat(f.tokenizer()); err == nil {
		from = tokenizer.Config{Path: f.tokenizer()}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text, tok, err := workload.ReadText(f.Train.Data, func(p data.Part) (tokenizer.Tokenizer, error) { return from.New(p.Text()) }, cache.Encode)
	if err != nil {
		return err
	}
	f.text, _ = text.Counts()
	f.vocab = tok.Vocab()
	if from.Path == f.tokenizer() {
		return nil
	}
	file, err := tok.JSON()
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(f.tokenizer(), file)
}

func (f *frontier) tokenizer() string { return filepath.Join(f.Out, "tokenizer.json") }

func (f *frontier) cache() string { return filepath.Join(f.Out, "cache") }

// layout is a run file's model without storage, as its run will make it.
func (f *frontier) layout(r config.Run) (model.Model, *param.Set, error) {
	s := r.Model
	if s.Context == 0 {
		s.Context = f.context
	}
	if s.Vocab == 0 && s.Name == "" {
		s.Vocab = f.vocab
	}
	m, err := model.New(s)
	if err != nil {
		return nil, nil, fault.Usage(err)
	}
	set, err := param.Layout(m.Specs())
	return m, set, fault.Usage(err)
}

// end is what a sequence costs a pruned model in the end: as the pilot of a pruned way measured
// it, or about: the products of what can be cut shrink with it, that of the head does not.
func (f *frontier) end(name string) cost {
	if c, ok := f.pilots[name]; ok {
		return c
	}
	kept := 1 - float64(f.big.params-f.goal.Params)/float64(f.prunable)
	forward := f.head + (f.big.forward-f.head)*kept
	return cost{params: f.goal.Params, forward: forward, step: f.big.step / f.big.forward * forward}
}

// mean is what a sequence costs on average in a run that prunes at a schedule, in proportion
// to the parameters that have gone; steps after the first event take more besides.
func (f *frontier) mean(s coupled.Schedule, end cost, more float64) (step float64) {
	const n = 2000
	now := f.big.step
	for i := 1; i <= n; i++ {
		step += now / n
		if share, due := s.At(i, n); due {
			now = f.big.step + share*(end.step-f.big.step) + more
		}
	}
	return step
}

// schedule is the prune section of a run whose first and last events come at shares of its
// operations, and what a sequence costs in it on average.
func (f *frontier) schedule(p config.FrontierPrune) (coupled.Config, float64) {
	k, end, more := f.Train.Prune, f.end(p.Name), 0.0
	if p.KL {
		more = f.big.forward
	}
	k.Start, k.End = p.Start, p.End
	for range 50 {
		mean := f.mean(k.Schedule(), end, more)
		k.Start = (k.Start + p.Start*mean/f.big.step) / 2
		k.End = min(0.999, max(k.Start, (k.End+1-(1-p.End)*mean/(end.step+more))/2))
	}
	return k, f.mean(k.Schedule(), end, more)
}

// pilot trains a pruned way once, to know what its model costs in the end: how much of it is
// attention, whose products with the tokens before shrink with what it decides to cut.
func (f *frontier) pilot(w way) error {
	t := tried{f.LRs[len(f.LRs)/2], f.Beta2s[0], f.Seeds[0]}
	p := way{name: w.name + "-pilot", pruned: w.pruned}
	if _, err := f.cell(p, t); err != nil {
		return err
	}
	c, err := f.runCost(fmt.Sprintf("%s-%s", p.name, t))
	if f.pilots == nil {
		f.pilots = map[string]cost{}
	}
	f.pilots[w.name] = c
	return err
}

// runCost is what a sequence costs the model that a run ended with.
func (f *frontier) runCost(name string) (c cost, err error) {
	b, err := bundle.Open(filepath.Join(f.Out, "runs", name), bundle.Options{})
	if err != nil {
		return c, err
	}
	defer b.Close()
	return costOf(b.Model, b.Set, f.context)
}

// steps is how many of a cost a sequence take a share of the operations.
func (f *frontier) steps(share, sequence float64) int {
	return max(1, int(share*f.budget/(sequence*float64(f.Train.Train.Batch))))
}

// costOfWay is what a sequence costs in a way's run on average, with the parameters that it ends
// with; of the plan with new weights once its pruned run is there.
func (f *frontier) costOfWay(w way, seed uint64) (c cost, err error) {
	switch {
	case w.shape != nil:
		r, err := f.Small(*w.shape)
		if err != nil {
			return c, err
		}
		m, set, err := f.layout(r)
		if err != nil {
			return c, err
		}
		return costOf(m, set, f.context)
	case w.pruned != nil:
		_, mean := f.schedule(*w.pruned)
		return cost{params: f.goal.Params, step: mean}, nil
	case w.plan && f.plans == nil:
		return f.end(""), nil
	case w.plan:
		return f.runCost(f.prunedRun(seed))
	}
	return f.big, nil
}

// check refuses a way whose model is not about as large as it should be, that reads too little
// for it, or reads the text too often.
func (f *frontier) check(w way) error {
	c, err := f.costOfWay(w, 0)
	if err != nil {
		return err
	}
	share, more := 1.0, int64(0)
	if w.late != nil {
		share = w.late.Share
		if more, err = f.after(*w.late); err != nil {
			return err
		}
	}
	if d := float64(c.params)/float64(f.goal.Params) - 1; w.shape != nil && (d > 0.1 || d < -0.1) {
		return fault.Usage(fmt.Errorf("the shape has %d parameters, expected those of the pruned model, %d, within a tenth", c.params, f.goal.Params))
	}
	tokens := float64(f.steps(share, c.step)*f.Train.Train.Batch*f.context) + float64(more)
	if each := tokens / float64(f.goal.Params); each < f.TokensPerParam {
		return fault.Usage(fmt.Errorf("%.1f tokens a parameter of the pruned model, of %d, expected tokens_per_param, %g, at least: give train.train.steps more", each, f.goal.Params, f.TokensPerParam))
	}
	if times := tokens / float64(f.text); times > f.Repeats {
		return fault.Usage(fmt.Errorf("the training text of %d tokens would be read %.1f times, expected repeats, %g, at most: give more text, or train.train.steps fewer", f.text, times, f.Repeats))
	}
	return nil
}
