package run

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
)

// maxRollbacks is how often a run goes back to one and the same checkpoint.
const maxRollbacks = 3

// saveStep saves when it is time. A disk that is full, read-only or failing does
// not stop the training: the next checkpoint tries again.
func (j *Job) saveStep(l *train.Loop) error {
	p := j.cfg.Checkpoint
	due := p.Every > 0 && l.Step%p.Every == 0 || p.KeepBest && j.improved(l)
	if !due || l.Step == l.Steps {
		return nil
	}
	err := j.saveAll(l)
	if err == nil || errors.Is(err, checkpoint.ErrNonFinite) {
		return err
	}
	j.tell(SaveFailed{Step: l.Step, Next: min(l.Steps, l.Step+max(1, p.Every)), Err: err, Good: j.lastGood()})
	return nil
}

// saveEnd saves the end of the run, or the step at which it was interrupted.
func (j *Job) saveEnd(l *train.Loop) error {
	j.unsaved = j.saveAll(l)
	j.saved = j.unsaved == nil
	return j.unsaved
}

// saveAll makes metrics and plans durable, then writes the checkpoint: the lead for
// all ranks, which learn whether the model was fit to be saved.
func (j *Job) saveAll(l *train.Loop) error {
	if err := l.MergeEvidence(); err != nil {
		return err
	}
	state, done, err := l.State()
	if err != nil {
		return err
	}
	defer done()
	if j.Ranks.lead() {
		err = j.saveLead(l, state)
	}
	bad := []float64{0}
	if errors.Is(err, checkpoint.ErrNonFinite) {
		bad[0] = 1
	}
	if err := j.Ranks.SumFloat64(bad); err != nil {
		return err
	}
	if bad[0] > 0 && err == nil {
		err = fmt.Errorf("%w (%w)", checkpoint.ErrNonFinite, errElsewhere)
	}
	return err
}

func (j *Job) saveLead(l *train.Loop, state []optim.NamedSlab) error {
	if err := j.metrics.Sync(); err != nil && !j.mute {
		j.mute = true
		j.tell(MetricsFailed{l.Step, err})
	}
	if j.pruner != nil {
		if err := j.pruner.Flush(); err != nil {
			j.tell(PlanFailed{err})
		}
	}
	err := j.save(l, state)
	left := err
	if errors.Is(err, checkpoint.ErrOldKept) {
		err = nil
	}
	if err == nil {
		j.tell(Saved{l.Step, left})
	}
	return err
}

// linkBest makes RUN/best the checkpoint with the lowest validation loss.
func (j *Job) linkBest() error {
	if !j.cfg.Checkpoint.KeepBest {
		return nil
	}
	return j.dir.LinkBest(j.best.Step)
}

// lastGood says where a run could go on.
func (j *Job) lastGood() string {
	list, err := checkpoint.Checkpoints(j.cfg.Out)
	if err != nil || len(list) == 0 || list[0].Err != nil {
		return "there is no earlier checkpoint"
	}
	return fmt.Sprintf("the newest good checkpoint is of step %d", list[0].Step)
}

// rollback goes back to the newest good checkpoint when err is a number that is
// not finite and the policy says so; training continues after the batch that gave
// it. It returns false and the error to end with otherwise.
func (j *Job) rollback(err error) (bool, error) {
	var bad *train.NonFiniteError
	if !errors.As(err, &bad) && !errors.Is(err, checkpoint.ErrNonFinite) {
		return false, err
	}
	if j.cfg.Train.OnNonFinite != train.Rollback {
		return false, fmt.Errorf("%w; %s", err, j.lastGood())
	}
	if j.rollbacks == maxRollbacks {
		return false, fmt.Errorf("%w, after %d rollbacks to the same checkpoint; lower optim.lr", err, maxRollbacks)
	}
	rollbacks, cursor := j.rollbacks+1, j.batches.Cursor()
	j.tell(RolledBack{err})
	j.release()
	saved, rerr := j.restore()
	if rerr == nil && saved == nil {
		return false, fmt.Errorf("%w, and there is no checkpoint to roll back to (checkpoint.every is %d)", err, j.cfg.Checkpoint.Every)
	}
	if rerr == nil {
		rerr = j.assemble(saved)
	}
	if rerr == nil {
		rerr = j.batches.Seek(cursor)
	}
	if rerr == nil {
		rerr = j.loop.Lower()
	}
	j.recent, j.spike, j.mute, j.unsaved, j.rollbacks = nil, train.Spike{}, false, nil, rollbacks
	return rerr == nil, rerr
}
