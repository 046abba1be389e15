package lab

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/run"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/train"
)

// Figures of a cell.
const (
	figLoss    = "loss"    // nats a held-out token; absent where training diverged
	figParams  = "params"  // at the end
	figAverage = "average" // parameters, over the tokens of training
	figFLOPs   = "flops"
	figTokens  = "tokens"
	figSeconds = "seconds" // of steps, and of pruning after them
)

// lossOf is a cell's loss, infinite where training diverged.
func lossOf(c PaperCell) float64 {
	if x, ok := c.Figures[figLoss]; ok {
		return x
	}
	return math.Inf(1)
}

// places are the keys of run files that say where something of the comparison's own lies.
var places = []string{"out", "data.cache", "from", "tokenizer.path"}

// cell is the result of a way with a setting.
func (f *frontier) cell(w way, t tried) (PaperCell, error) {
	name := fmt.Sprintf("%s-%s", w.name, t)
	r, err := f.runFile(w, t)
	if err != nil {
		return PaperCell{}, err
	}
	c := PaperCell{Run: filepath.Join("runs", filepath.Base(r.Out)), Seed: t.seed}
	changes, err := config.Changes(config.Default(), r)
	if err != nil {
		return c, err
	}
	tok := f.Train.Tokenizer
	c.Set = []string{fmt.Sprintf("tokenizer=%s %d %s", tok.Train, tok.Vocab, tok.Path)}
	for _, x := range changes {
		if !slices.Contains(places, x.Key) {
			c.Set = append(c.Set, x.Key+"="+x.To)
		}
	}
	if w.late != nil {
		c.Set = append(c.Set, fmt.Sprintf("late=%+v", *w.late))
	}
	start := time.Now()
	var took time.Duration
	c, err = kept(f.ctx, f.Out, name, c, func(c *PaperCell) error {
		err := f.make(w, t, r, c)
		took = time.Since(start)
		c.Seconds = max(took.Seconds(), c.Figures[figSeconds]) // an interrupted one has had more
		return err
	})
	if err == nil {
		f.progress(name, c, took)
	}
	return c, err
}

// make trains a cell; one whose training diverges has no figures.
func (f *frontier) make(w way, t tried, r config.Run, c *PaperCell) error {
	err := f.trainCell(w, t, r, c)
	var bad *train.NonFiniteError
	if errors.As(err, &bad) {
		f.say("%s: %v", r.Out, err)
		clear(c.Figures)
		return nil
	}
	return err
}

func (f *frontier) trainCell(w way, t tried, r config.Run, c *PaperCell) error {
	if w.plan {
		if err := f.newPlan(r.From, t.seed); err != nil {
			return err
		}
	}
	fresh()
	if err := f.Env.train(f.ctx, r, run.Options{Mode: run.Auto, Allow: places}); err != nil {
		return err
	}
	if err := c.readSteps(r.Out); err != nil || w.late == nil {
		return err
	}
	return f.further(w, t, r, c)
}

// runFile is the run of a way with a setting; of a late one until the cut.
func (f *frontier) runFile(w way, t tried) (config.Run, error) {
	r, share, name := f.Train, 1.0, w.name
	if w.shape != nil {
		r, _ = f.Small(*w.shape) // the file was checked
	}
	c, err := f.costOfWay(w, t.seed)
	if err != nil {
		return r, err
	}
	if w.late != nil {
		share, name = w.late.Share, fmt.Sprintf("late-%g", w.late.Share) // the same for all that share it
	}
	if w.pruned != nil {
		r.Prune, _ = f.schedule(*w.pruned)
		r.Prune.Seed, r.Teacher.Copy = t.seed, w.pruned.KL
	} else {
		r.Dense()
	}
	if !r.Teacher.Copy {
		r.Teacher = train.DefaultTeacher()
	}
	r.Tokenizer = tokenizer.DefaultConfig()
	if w.plan {
		r.Model, r.From = config.Default().Model, filepath.Join(f.Out, "plans", fmt.Sprint(t.seed))
	} else {
		r.Tokenizer.Path = f.tokenizer()
	}
	r.Optim.LR, r.Optim.Beta2 = t.lr, t.beta2
	r.Train.Seed, r.Train.Steps, r.Train.Context, r.Train.Sample = t.seed, f.steps(share, c.step), f.context, 0
	if r.Train.EvalEvery == 0 {
		r.Train.EvalEvery = r.Train.Steps
	}
	r.Data.Cache, r.Out = f.cache(), filepath.Join(f.Out, "runs", fmt.Sprintf("%s-%s", name, t))
	return r, nil
}

// prunedRun names the run whose plan of a seed is trained from new weights.
func (f *frontier) prunedRun(seed uint64) string {
	return fmt.Sprintf("%s-%s", f.Pruned[0].Name, f.plans[seed])
}

// newPlan writes the model of a plan with new weights.
func (f *frontier) newPlan(dir string, seed uint64) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	b, err := bundle.Open(filepath.Join(f.Out, "runs", f.prunedRun(seed)), bundle.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	b.Set.Init(seed)
	return b.Save(dir, bundle.SaveOptions{DType: "F32", Replace: true})
}

// readSteps takes the figures of a finished run.
func (c *PaperCell) readSteps(dir string) error {
	r, err := report.Open(dir)
	if err != nil {
		return fault.BadInput(err)
	}
	facts := r.Facts()
	if facts.After.ValLoss == nil {
		return fault.BadInput(fmt.Errorf("%s has no validation loss; give train.data.validation", dir))
	}
	var params, flops float64
	last := 0
	for _, s := range r.Steps {
		n := float64(s.Step - last)   // records that were thinned out count as those after them
		last, flops = s.Step, s.FLOPs // a sum already
		if s.Event != nil {
			s.Params = s.Event.ParamsBefore
		}
		params += n * float64(s.Params)
	}
	c.Figures[figLoss], c.Figures[figParams], c.Figures[figSeconds] = *facts.After.ValLoss, float64(facts.After.Params), facts.Seconds
	c.Figures[figFLOPs], c.Figures[figTokens], c.Figures[figAverage] = flops, float64(facts.Tokens), params/float64(last)
	return nil
}
