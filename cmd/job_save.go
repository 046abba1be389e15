package cmd

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
)

// maxBacks is how often a run goes back to one and the same checkpoint.
const maxBacks = 3

// saveStep saves when it is time. A disk that is full, read-only or failing does
// not stop the training: the next checkpoint tries again.
func (j *job) saveStep(l *train.Loop) error {
	p := j.run.Checkpoint
	due := p.Every > 0 && l.Step%p.Every == 0 || p.KeepBest && j.improved(l)
	if !due || l.Step == l.Steps {
		return nil
	}
	err := j.saveAll(l)
	if err == nil || errors.Is(err, checkpoint.ErrNonFinite) {
		return err
	}
	next := min(l.Steps, l.Step+max(1, p.Every))
	j.show.say("step %d: the checkpoint could not be written (%s); training goes on, the next try is at step %d; %s", l.Step, oneLine(err), next, j.lastGood())
	return nil
}

// saveEnd saves the end of the run, or the step at which it was interrupted.
func (j *job) saveEnd(l *train.Loop) error {
	j.unsaved = j.saveAll(l)
	return j.unsaved
}

// saveAll makes metrics and plans durable, then writes the checkpoint: the lead for
// all ranks, which learn whether the model was fit to be saved.
func (j *job) saveAll(l *train.Loop) error {
	if err := l.MergeEvidence(); err != nil {
		return err
	}
	state, done, err := l.State()
	if err != nil {
		return err
	}
	defer done()
	if j.ranks.lead() {
		err = j.saveLead(l, state)
	}
	bad := []float64{0}
	if errors.Is(err, checkpoint.ErrNonFinite) {
		bad[0] = 1
	}
	if err := j.ranks.SumFloat64(bad); err != nil {
		return err
	}
	if bad[0] > 0 && err == nil {
		err = fmt.Errorf("%w (%w)", checkpoint.ErrNonFinite, errElsewhere)
	}
	return err
}

func (j *job) saveLead(l *train.Loop, state []optim.NamedSlab) error {
	if err := j.metrics.Sync(); err != nil && !j.mute {
		j.mute = true
		j.show.say("step %d: metrics.jsonl cannot be written (%s); its lines are kept and written when it can", l.Step, oneLine(err))
	}
	if j.pruner != nil {
		if err := j.pruner.Flush(); err != nil {
			j.planFailed(err)
		}
	}
	err := j.save(l, state)
	if errors.Is(err, checkpoint.ErrOldKept) {
		j.show.say("step %d: %s", l.Step, oneLine(err))
		return nil
	}
	return err
}

// linkBest makes RUN/best the checkpoint with the lowest validation loss.
func (j *job) linkBest() error {
	if !j.run.Checkpoint.KeepBest {
		return nil
	}
	return j.dir.LinkBest(j.best.Step)
}

// lastGood says where a run could go on.
func (j *job) lastGood() string {
	list, err := checkpoint.Checkpoints(j.run.Out)
	if err != nil || len(list) == 0 || list[0].Err != nil {
		return "there is no earlier checkpoint"
	}
	return fmt.Sprintf("the newest good checkpoint is of step %d", list[0].Step)
}

// rollback goes back to the newest good checkpoint when err is a number that is
// not finite and the policy says so; the data go on behind the batch that gave
// it. It returns false and the error to end with otherwise.
func (j *job) rollback(err error) (bool, error) {
	var bad *train.NonFiniteError
	if !errors.As(err, &bad) && !errors.Is(err, checkpoint.ErrNonFinite) {
		return false, err
	}
	if j.run.Train.OnNonFinite != train.Rollback {
		return false, fmt.Errorf("%w; %s", err, j.lastGood())
	}
	if j.backs == maxBacks {
		return false, fmt.Errorf("%w, after going back to one checkpoint %d times; lower optim.lr", err, maxBacks)
	}
	backs, cursor := j.backs+1, j.data.Cursor()
	j.show.say("%s; going back, the data go on behind this batch", oneLine(err))
	j.release()
	saved, rerr := j.restore()
	if rerr == nil && saved == nil {
		return false, fmt.Errorf("%w, and there is no checkpoint to go back to (checkpoint.every is %d)", err, j.run.Checkpoint.Every)
	}
	if rerr == nil {
		rerr = j.assemble(saved)
	}
	if rerr == nil {
		rerr = j.data.Seek(cursor)
	}
	if rerr == nil {
		rerr = j.loop.Lower()
	}
	j.recent, j.spike, j.mute, j.unsaved, j.backs = nil, train.Spike{}, false, nil, backs
	return rerr == nil, rerr
}
