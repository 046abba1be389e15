package lab

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// latePromise bounds the operations of a late cut, as prune's are bounded: see prune.Job.Promise.
const latePromise = 2.5

// after is how many tokens a late way has for the training after the cut, in the terms of
// training against the parent; text gets as many operations.
func (f *frontier) after(l config.FrontierLate) (int64, error) {
	left := (1-l.Share)*f.budget - latePromise*float64(l.Sequences)*f.big.step
	token := (f.big.forward + f.end(f.Pruned[0].Name).step) / float64(f.context)
	n := int64(left / token)
	if n < int64(f.context) {
		return 0, fault.Usage(fmt.Errorf("the pruning may take %.2g of the %.2g operations after the share of %g, expected fewer: give sequences fewer, or share less",
			latePromise*float64(l.Sequences)*f.big.step, (1-l.Share)*f.budget, l.Share))
	}
	return n, nil
}

// comparison is the cut of a late way and what comes after it, as bench compare makes it.
func (f *frontier) comparison(w way, t tried, r config.Run) (config.Compare, error) {
	tokens, err := f.after(*w.late)
	if err != nil {
		return config.Compare{}, err
	}
	c := config.DefaultCompare()
	c.Train, c.Model, c.Out = r, r.Out, filepath.Join(f.Out, "late")
	c.Train.Out, c.Seeds, c.Budgets, c.Of = "", []uint64{t.seed}, []string{r.Prune.Target}, r.Prune.Of
	c.Train.Dense()
	for _, k := range r.Prune.Kinds {
		c.Kinds = append(c.Kinds, string(k))
	}
	c.Sequences, c.TrialSequences, c.EvalTokens = w.late.Sequences, w.late.TrialSequences, r.Train.EvalTokens
	c.Recover.Tokens = tokens
	c.Methods = []config.Method{{Name: fmt.Sprintf("%s-lr%g-b%g", w.name, t.lr, t.beta2), Learn: w.late.Learn, Recover: true}}
	c = c.Resolve()
	return c, c.Validate()
}

// further cuts the model of a late way's run and trains what is left.
func (f *frontier) further(w way, t tried, r config.Run, c *PaperCell) error {
	whole := f.Train.Prune
	r.Prune.Target, r.Prune.Of, r.Prune.Kinds = whole.Target, whole.Of, whole.Kinds
	file, err := f.comparison(w, t, r)
	if err != nil {
		return err
	}
	m := &comparison{Compare: file, Env: f.Env, ctx: f.ctx, promise: latePromise}
	m.pool = kernel.NewPool(cmp.Or(f.Threads, r.Train.Threads))
	defer m.pool.Close()
	cells, err := m.run()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(cells, func(x CompareCell) bool { return x.Method != config.Dense })
	x, tokens, params := cells[i], c.Figures[figTokens], c.Figures[figParams]
	token := 3 * x.Forward
	if w.late.Learn == config.LearnParent {
		token += f.big.forward / float64(f.context)
	}
	c.Figures[figLoss], c.Figures[figParams] = *x.Recovered, float64(x.Params)
	c.Figures[figSeconds] += x.Took
	c.Figures[figFLOPs] += float64(x.FLOPs) + float64(x.Tokens)*token
	c.Figures[figTokens] += float64(x.Tokens)
	c.Figures[figAverage] = (params*tokens + float64(x.Params)*float64(x.Tokens)) / c.Figures[figTokens]
	return nil
}
