package prune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// Recovering is progress of training against the uncut model: how long it will take
// before the first step, and each measurement.
type Recovering struct{ recovery.Progress }

func (e Recovering) String() string {
	if e.Step == 0 {
		return fmt.Sprintf("recovering: %s against the model before the cut, about %s, in %s", units.Plural(e.Steps, "step"), units.Clock(e.Left), units.Bytes(e.Memory))
	}
	return fmt.Sprintf("recovering: step %d of %d, %s tokens, held-out loss %.4f, about %s left", e.Step, e.Steps, units.Count(float64(e.Tokens)), e.Held, units.Clock(e.Left))
}

// Parent opens the model before the cut; close gives it back.
type Parent func() (net recovery.Net, close func(), err error)

// Resumed is a pruning that was interrupted while it recovered.
type Resumed struct {
	Before Side
	Memory PlannedMemory // before
	Plan   *coupled.Plan
	Trials int
	Bytes  int64 // of the weights before, on disk
}

// goOn takes over what was done before an interruption.
func (p *Job) goOn(r *Result) error {
	d := p.Resumed
	if have := p.Set.Count(); d.Plan.After != have {
		return fault.BadInput(fmt.Errorf("the interrupted pruning left %d parameters, the model has %d", d.Plan.After, have))
	}
	r.Before, r.MemoryBefore, r.Plans, r.Trials = d.Before, d.Memory, []*coupled.Plan{d.Plan}, d.Trials
	return nil
}

// Unrecoverable is why the job's model cannot be recovered, nil where it can.
func (p *Job) Unrecoverable() error {
	_, images := p.Model.(model.Classifier)
	switch {
	case p.DryRun || p.Uncoupled:
		return errors.New("recovery needs a pruned model: a dry run or --uncoupled makes none")
	case images:
		return errors.New("recovery is for text models, this one classifies images: fine-tune it instead")
	case p.group().Size() > 1:
		return fmt.Errorf("recovery runs in one process, found %d", p.group().Size())
	}
	for _, b := range p.Set.Blocks {
		if t := b.DType(); t == param.Q8 {
			return fmt.Errorf("recovery trains weights of float32 or bfloat16, %s is %s: give --weights bf16, or none", b.Name, t)
		}
	}
	return nil
}

// checkRecovery refuses a recovery where it makes no sense.
func (p *Job) checkRecovery() error {
	if p.Recovery == nil {
		return nil
	}
	return fault.Usage(p.Unrecoverable())
}

// recover trains the pruned model against the one that it was cut from, where that is
// asked for. An interruption leaves the best weights so far.
func (p *Job) recover(ctx context.Context, r *Result) error {
	if p.Recovery == nil {
		return nil
	}
	return p.phase(PhaseRecovery, func() error { return p.train(ctx, r) })
}

// train is the recovery.
func (p *Job) train(ctx context.Context, r *Result) error {
	debug.FreeOSMemory() // what the pruning needed is garbage now
	parent, closeParent, err := p.Parent()
	if err != nil {
		return fmt.Errorf("open the model before the cut: %w", err)
	}
	defer closeParent()
	stage := *p.Recovery
	stage.Parent, stage.Child, stage.Pool = parent, recovery.Net{Model: p.Model, Set: p.Set}, p.Pool
	var done int64
	stage.Progress = func(s recovery.Progress) {
		if s.Step == 0 || !math.IsNaN(s.Held) {
			p.tell(Recovering{s})
		}
		p.countWork(s.FLOPs - done)
		done = s.FLOPs
	}
	if p.SaveRecovery != nil {
		stage.Save = func(st recovery.State, parts []recovery.Saved) error { return p.SaveRecovery(r, st, parts) }
	}
	r.Recovery, err = stage.Run(ctx)
	if t := p.Training; r.Recovery != nil && t.Optimizer == recovery.Apollo {
		r.Recovery.AdamW = t.AdamW
	}
	if r.Interrupted = errors.Is(err, recovery.ErrInterrupted); r.Interrupted {
		return nil
	}
	return err
}
