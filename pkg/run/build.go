package run

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// fresh makes the model with initial weights, or takes that which the run begins with.
func (j *Job) fresh() (err error) {
	if j.bundle.Model != nil {
		if j.cfg.NewClassifier {
			if err := j.reclassify(); err != nil {
				return err
			}
		}
		if err := j.fits(); err != nil {
			return err
		}
		return j.checkRoom(j.bundle.Set, j.bundle.Set.WeightBytes())
	}
	if p, ok := j.work.(*workload.Images); ok {
		j.bundle.Model, err = p.Classifier(j.cfg.Model)
	} else {
		j.bundle.Model, err = j.newReader()
	}
	if err != nil {
		return err
	}
	shapes, err := param.Layout(j.bundle.Model.Specs())
	if err != nil {
		return fault.Usage(err)
	}
	if err := j.fits(); err != nil {
		return err
	}
	if err := j.checkRoom(shapes, 0); err != nil {
		return err
	}
	if j.bundle.Set, err = param.New(j.bundle.Model.Specs()); err != nil {
		return fault.Usage(err)
	}
	return j.bundle.Set.InitAs(j.cfg.Train.Seed, j.cfg.Train.DType())
}

// reclassify gives the model that the run begins with a new classifier, for the
// classes of the run's images; every other weight stays.
func (j *Job) reclassify() error {
	was := j.bundle.Model.Vocab()
	made, err := j.bundle.Reclassify(j.work.(*workload.Images).Classes(), j.cfg.Train.Seed)
	if err != nil {
		return err
	}
	j.tell(Reclassified{From: was, To: j.bundle.Model.Vocab(), Params: made})
	return nil
}

// newReader makes the model of the run file for the text that was read.
func (j *Job) newReader() (model.Model, error) {
	s := j.cfg.Model
	if s.Context == 0 {
		s.Context = j.cfg.Train.Context
	}
	if s.Vocab == 0 && s.Name == "" {
		s.Vocab = j.bundle.Tokenizer.Vocab()
	}
	m, err := model.New(s)
	if err == nil && s.Vocab == 0 && j.bundle.Tokenizer.Vocab() != m.Vocab() {
		j.tell(Note(fmt.Sprintf("model.name %s has a vocabulary of %d, the tokenizer %d ids; model.vocab %d would fit the model to it", s.Name, m.Vocab(), j.bundle.Tokenizer.Vocab(), j.bundle.Tokenizer.Vocab())))
	}
	return m, fault.Usage(err)
}

// fits reports whether the model takes the data.
func (j *Job) fits() error {
	c := j.cfg.Train
	switch {
	case j.images() && c.Context != j.bundle.Model.Context():
		return fault.Usage(fmt.Errorf("train.context is %d tokens, but an image is %d tokens: leave the key out", c.Context, j.bundle.Model.Context()))
	case j.images():
		return nil
	case j.bundle.Tokenizer.Vocab() > j.bundle.Model.Vocab() && j.cfg.From != "": // added tokens, which texts need not hold
		return fault.BadInput(j.work.(interface{ Below(vocab int) error }).Below(j.bundle.Model.Vocab()))
	case j.bundle.Tokenizer.Vocab() > j.bundle.Model.Vocab():
		return fault.Usage(fmt.Errorf("model.vocab is %d, but the tokenizer has %d ids", j.bundle.Model.Vocab(), j.bundle.Tokenizer.Vocab()))
	case c.Context > j.bundle.Model.Context():
		return fault.Usage(fmt.Errorf("train.context is %d tokens, but the model's context is %d", c.Context, j.bundle.Model.Context()))
	}
	return nil
}

// preparePruning makes the hook of the pruning events, where the run has any.
func (j *Job) preparePruning(saved *state) (err error) {
	c := j.cfg.Prune
	if !c.Enabled() {
		return nil
	}
	if err := errors.Join(c.CheckTraining(), c.Check(j.bundle.Set)); err != nil {
		return fault.Usage(err)
	}
	j.pruner = &train.Pruner{
		Config: c, Footprint: j.footprint, Dir: filepath.Join(j.cfg.Out, "plans"),
		Report: func(e train.Event) { j.recent = nil; j.tell(Pruned{e}) },
		Failed: func(err error) { j.tell(PlanFailed{err}) },
	}
	if c.Calibration > 0 {
		if j.pruner.Calibration, err = j.work.Calibration(c.Calibration, j.cfg.Train.Context, j.cfg.Train.Seed); err != nil {
			return err
		}
	}
	if saved == nil {
		j.pruner.Goal, err = c.Goal(j.bundle.Set, j.footprint)
		return fault.Usage(err)
	}
	// A run that is made longer keeps the steps of its pruning events.
	j.pruner.Steps = saved.PruneSteps
	if was := j.previous.Train.Steps; j.pruner.Steps == 0 && was < j.cfg.Train.Steps {
		j.pruner.Steps = was
	}
	return nil
}

// schedule is when the run prunes: whether it does at a step, and at what step first.
func (j *Job) prunesAt(step int) bool {
	if j.pruner == nil {
		return false
	}
	_, due := j.cfg.Prune.Schedule().At(step, j.pruner.Horizon(j.loop))
	return due
}

func (j *Job) firstEvent() int {
	for s := 1; s < j.loop.Steps; s++ {
		if j.prunesAt(s) {
			return s
		}
	}
	return 0
}

// footprint is the training memory of a model of some shapes, in bytes.
func (j *Job) footprint(shapes *param.Set) (int64, error) {
	m, err := train.Footprint(j.perRank(), j.cfg.Optim, j.cfg.LoRA, j.bundle.Model, shapes, false)
	return m.Total(), err
}

var _ coupled.Footprint = (*Job)(nil).footprint
