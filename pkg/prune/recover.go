package prune

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/recovery"
)

// Recovering is progress of training against the uncut model: how long it will take
// before the first step, and each measurement.
type Recovering struct{ recovery.Progress }

func (e Recovering) String() string {
	if e.Step == 0 {
		return fmt.Sprintf("recovering: %s against the model before the cut, about %s", units.Plural(e.Steps, "step"), units.Clock(e.Left))
	}
	return fmt.Sprintf("recovering: step %d of %d, %s tokens, held-out loss %.4f, about %s left", e.Step, e.Steps, units.Count(float64(e.Tokens)), e.Held, units.Clock(e.Left))
}

// Parent opens the model before the cut; close gives it back.
type Parent func() (net recovery.Net, close func(), err error)

// checkRecovery refuses a recovery where it makes no sense.
func (p *Job) checkRecovery() error {
	_, images := p.Model.(model.Classifier)
	switch {
	case p.Recovery == nil:
		return nil
	case p.DryRun || p.Uncoupled:
		return fault.Usage(errors.New("recovery trains a model that was cut: a dry run or the ablation leaves none"))
	case images:
		return fault.Usage(errors.New("recovery is for models of text, this one classifies images: fine-tune it instead"))
	case p.group().Size() > 1:
		return fault.Usage(fmt.Errorf("recovery runs in one process, these are %d", p.group().Size()))
	}
	return nil
}

// recover trains the pruned model against the one that it was cut from, where that is
// asked for. An interruption leaves the best weights so far.
func (p *Job) recover(ctx context.Context, r *Result) error {
	if p.Recovery == nil {
		return nil
	}
	parent, closeParent, err := p.Parent()
	if err != nil {
		return fmt.Errorf("open the model before the cut: %w", err)
	}
	defer closeParent()
	stage := *p.Recovery
	stage.Parent, stage.Child, stage.Pool = parent, recovery.Net{Model: p.Model, Set: p.Set}, p.Pool
	stage.Progress = func(s recovery.Progress) {
		if s.Step == 0 || !math.IsNaN(s.Held) {
			p.tell(Recovering{s})
		}
	}
	r.Recovery, err = stage.Run(ctx)
	if r.Interrupted = errors.Is(err, recovery.ErrInterrupted); r.Interrupted {
		return nil
	}
	return err
}
