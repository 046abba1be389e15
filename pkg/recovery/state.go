package recovery

import (
	"fmt"
	"time"

	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/optim"
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
	Updates int           `json:"updates"` // of the optimizer
	Elapsed time.Duration `json:"elapsed_ns"`
	Cursor  data.Cursor   `json:"cursor"`
	Short   data.Cursor   `json:"short"` // of the short windows; zero without
	Result  Result        `json:"result"`
}

// slabs are the weights as they are and as they were at the best measurement, and the
// optimizer's state.
func (r *runner) slabs() []optim.NamedSlab {
	out := []optim.NamedSlab{{Slot: optim.Slot{Name: "recovery.now.f32", Layout: r.Child.Set}, Slab: r.now}}
	if r.best != nil {
		out = append(out, optim.NamedSlab{Slot: optim.Slot{Name: "recovery.best.f32", Layout: r.Child.Set}, Slab: r.best})
	}
	for _, s := range r.opt.Slabs() {
		s.Name = "recovery." + s.Name
		out = append(out, s)
	}
	return out
}

// save gives the state to Save, with the child as it was at its best.
func (r *runner) save() error {
	if r.Save == nil || r.steps == 0 {
		return nil
	}
	copy(r.now.Data, r.Child.Set.Weights.Data)
	if r.best != nil {
		copy(r.Child.Set.Weights.Data, r.best.Data)
	}
	st := State{
		Options: r.Options, Step: r.step, Steps: r.steps, Updates: r.opt.Updates(), Elapsed: r.elapsed(),
		Cursor: r.Batches.Cursor(), Result: r.result,
	}
	if r.Short != nil {
		st.Short = r.Short.Cursor()
	}
	st.Result.Steps, st.Result.Tokens, st.Result.Seconds = r.step, r.tokens(), st.Elapsed.Seconds()
	err := r.Save(st, r.slabs())
	copy(r.Child.Set.Weights.Data, r.now.Data)
	r.saved = time.Now()
	if err != nil {
		return fmt.Errorf("recovery: the state of step %d was not saved: %w", r.step, err)
	}
	return nil
}

// resume goes on from a state whose slabs Restore fills.
func (r *runner) resume(st State) error {
	if st.Step < 1 || st.Steps < st.Step || st.Elapsed < 0 || st.Updates < 0 || len(st.Result.Points) == 0 {
		return fmt.Errorf("recovery: a state of step %d of %d with %d measurements cannot be resumed", st.Step, st.Steps, len(st.Result.Points))
	}
	if err := r.Restore(r.slabs()); err != nil {
		return err
	}
	if err := r.Batches.Seek(st.Cursor); err != nil {
		return err
	}
	if r.Short != nil {
		if err := r.Short.Seek(st.Short); err != nil {
			return err
		}
	}
	copy(r.Child.Set.Weights.Data, r.now.Data)
	r.opt.SetUpdates(st.Updates)
	r.step, r.result, r.before = st.Step, st.Result, st.Elapsed
	r.Rate = st.Options.Rate
	r.plan(st.Steps)
	return nil
}

// elapsed is the time of training, that before an interruption included.
func (r *runner) elapsed() time.Duration { return r.before + time.Since(r.start) }
