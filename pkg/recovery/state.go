package recovery

import (
	"fmt"
	"time"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/param"
)

// Batches are where training batches come from, and how to go back to one.
type Batches interface {
	Next() (data.Batch, error)
	Cursor() data.Cursor
	Seek(data.Cursor) error
}

// State is where a recovery stands between two steps: with its slabs all that going on
// needs.
type State struct {
	Options Options       `json:"options"` // resolved
	Step    int           `json:"step"`
	Steps   int           `json:"steps"`
	Updates int           `json:"updates"`        // of the optimizer
	Norm    float64       `json:"norm,omitempty"` // of the gradients of the last step, where blocks are updated in the backward pass
	Elapsed time.Duration `json:"elapsed_ns"`
	Cursor  data.Cursor   `json:"cursor"`
	Short   data.Cursor   `json:"short"` // of the short windows; zero without
	Result  Result        `json:"result"`
	// Scales is what each parameter's rate is multiplied by, which follows from the weights
	// before the first step; missing of states of earlier versions, which go on by those they have.
	Scales map[string]float64 `json:"scales,omitempty"`
}

// Saved is a part of a state beside its numbers: elements in one or several runs.
type Saved struct {
	Name string // of its file
	Runs [][]float32
}

// parts are the weights as they are and as they were at the best measurement, and the
// optimizer's state. The child has the best weights then, where there are any, and best the present ones.
func (r *runner) parts() []Saved {
	name := func(of string) string {
		if r.Child.Set.Float32() == nil {
			return "recovery." + of + ".f32"
		}
		return "recovery." + of + ".words" // see param.Set.Words
	}
	var out []Saved
	if r.best == nil {
		out = append(out, Saved{name("now"), r.Child.Set.Words()})
	} else {
		out = append(out, Saved{name("now"), [][]float32{r.best.Data}}, Saved{name("best"), r.Child.Set.Words()})
	}
	for _, s := range r.opt.Slabs() {
		out = append(out, Saved{"recovery." + s.Name, [][]float32{s.Slab.Data}})
	}
	return out
}

// exchange changes the child's weights for those in best, where there are any.
func (r *runner) exchange() {
	if r.best == nil {
		return
	}
	at := r.best.Data
	for _, run := range r.Child.Set.Words() {
		for i, w := range run {
			run[i], at[i] = at[i], w
		}
		at = at[len(run):]
	}
}

// save gives the state to Save, with the child as it was at its best.
func (r *runner) save() error {
	if r.Save == nil || r.steps == 0 {
		return nil
	}
	r.exchange()
	st := State{
		Options: r.Options, Step: r.step, Steps: r.steps, Updates: r.opt.Updates(), Norm: r.norm, Elapsed: r.elapsed(),
		Cursor: r.Batches.Cursor(), Result: r.result, Scales: map[string]float64{},
	}
	for _, p := range r.Child.Set.Params {
		st.Scales[p.Name] = r.scale(p)
	}
	if r.Short != nil {
		st.Short = r.Short.Cursor()
	}
	st.Result.Steps, st.Result.Tokens, st.Result.Seconds = r.step, r.tokens(), st.Elapsed.Seconds()
	err := r.Save(st, r.parts())
	r.exchange()
	r.saved = r.clock()
	if err != nil {
		return fmt.Errorf("recovery: the state of step %d was not saved: %w", r.step, err)
	}
	return nil
}

// resume goes on from a state whose parts Restore fills.
func (r *runner) resume(st State) error {
	if st.Step < 0 || st.Steps < st.Step || st.Elapsed < 0 || st.Updates < 0 || len(st.Result.Points) == 0 {
		return fmt.Errorf("recovery: a state of step %d of %d with %d measurements cannot be resumed", st.Step, st.Steps, len(st.Result.Points))
	}
	if err := r.Restore(r.parts()); err != nil {
		return err
	}
	r.exchange()
	if err := r.Batches.Seek(st.Cursor); err != nil {
		return err
	}
	if r.Short != nil {
		if err := r.Short.Seek(st.Short); err != nil {
			return err
		}
	}
	if st.Scales != nil {
		r.scale = func(p *param.Param) float64 { return st.Scales[p.Name] }
	}
	r.opt.SetUpdates(st.Updates)
	r.step, r.result, r.before = st.Step, st.Result, st.Elapsed
	r.Rate, r.norm = st.Options.Rate, st.Norm
	r.done = int64(r.step) * r.work.step
	r.plan(st.Steps)
	r.planMeasuring()
	return r.openJudge()
}

// elapsed is the time of training, that before an interruption included.
func (r *runner) elapsed() time.Duration { return r.before + r.clock().Sub(r.start) }

// keepBest copies the child's weights to best.
func (r *runner) keepBest() {
	at := 0
	for _, run := range r.Child.Set.Words() {
		at += copy(r.best.Data[at:], run)
	}
}
