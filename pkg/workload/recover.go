package workload

import (
	"fmt"
	"iter"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/recovery"
	"github.com/ecospa/ecospa/pkg/train"
)

// judge measures a model by an evaluator.
type judge struct {
	*train.Evaluator
	held func() iter.Seq2[data.Batch, error]
}

// Measure implements recovery.Judge.
func (j judge) Measure() (recovery.Held, error) {
	e, err := j.Run(j.held())
	return recovery.Held{Loss: e.Loss, Positions: e.Positions}, err
}

// RecoverNone is no recovery, RecoverAuto recoverShare times the tokens of calibration.
const (
	RecoverNone = "none"
	RecoverAuto = "auto"

	recoverShare = 4
)

// recovery adds a recovery to a job: training on the workload's training part for the
// budget Pruning.Recover, at the context of the calibration.
func (p Pruning) recovery(job *prune.Job, w Workload) error {
	options := recovery.Options{Context: job.Data.Context, Recompute: p.training.Recompute}
	if p.training.Optimizer == recovery.Apollo {
		options.Optimizer = recovery.Apollo
	}
	if yes, err := p.recoverBudget(job, w, &options); err != nil || !yes {
		return err
	}
	v, vectors := w.(*Vectors)
	if vectors {
		options.Short = -1 // each sequence is one text
	}
	stage := &recovery.Stage{Options: options.Resolve()}
	if vectors { // while the model is what it was
		if err := v.prepare(stage.Batch, stage.Context, recovery.MostHeld); err != nil {
			return err
		}
	}
	at := data.Cursor{Seed: job.Config.Seed}
	var err error
	if stage.Batches, err = w.Batches(stage.Batch, stage.Context, at); err != nil {
		return err
	}
	if n := stage.Windows(); n > 1 {
		if stage.Short, err = w.Batches(stage.Batch*n, stage.Context/n, at); err != nil {
			return err
		}
	}
	each := stage.Batch * stage.Context
	stage.Held = func(n recovery.Net, tokens int) (recovery.Judge, error) {
		e, err := train.NewEvaluator(n.Model, n.Set, job.Pool, stage.Batch, stage.Context, false)
		return judge{e, func() iter.Seq2[data.Batch, error] {
			return first(w.Validation(stage.Batch, stage.Context, recovery.MostHeld), (tokens+each-1)/each)
		}}, err
	}
	job.Recovery, job.Training = stage, p.training
	job.Parent = func() (recovery.Net, func(), error) { return p.parent(job.Vocabulary) }
	return nil
}

// recoverBudget sets the tokens or the time of a recovery, and reports whether there is one.
func (p Pruning) recoverBudget(job *prune.Job, w Workload, options *recovery.Options) (bool, error) {
	switch p.Recover {
	case "", RecoverNone:
		return false, nil
	case RecoverAuto:
		why := job.Unrecoverable()
		if have, _ := w.Counts(); why == nil && have < 2*options.Context+1 {
			why = fmt.Errorf("the training text has %d tokens, expected at least %d", have, 2*options.Context+1)
		}
		if why != nil {
			p.Log("not recovered: " + why.Error())
			return false, nil
		}
		options.Tokens = p.autoTokens(job, w)
	default:
		if err := options.ParseBudget(p.Recover); err != nil {
			return false, fault.Usage(fmt.Errorf("recover: %w", err))
		}
	}
	return true, nil
}

// parent opens the model as it was before pruning, but for the vocabulary that was cut, nil for none.
func (p Pruning) parent(v *prune.Vocabulary) (recovery.Net, func(), error) {
	b, err := bundle.Open(p.From, bundle.Options{Weights: bundle.AsStored})
	if err != nil {
		return recovery.Net{}, nil, err
	}
	if v != nil {
		if _, err := b.KeepVocabulary(v.Kept); err != nil {
			b.Close()
			return recovery.Net{}, nil, err
		}
	}
	return recovery.Net{Model: b.Model, Set: b.Set}, b.Close, nil
}

// autoTokens is the budget of RecoverAuto, see docs/results/quality.md: four times the tokens
// of calibration, but no text more than four times.
func (p Pruning) autoTokens(job *prune.Job, w Workload) int64 {
	training, _ := w.Counts()
	if v, ok := w.(*Vectors); ok {
		training = v.training.Tokens()
	}
	return int64(max(job.Data.Context, min(recoverShare*job.Data.Len()*job.Data.Context, 4*training)))
}

// first is the first n of batches, or all where n is more.
func first(batches iter.Seq2[data.Batch, error], n int) iter.Seq2[data.Batch, error] {
	return func(yield func(data.Batch, error) bool) {
		left := n
		for b, err := range batches {
			if left--; left < 0 || !yield(b, err) {
				return
			}
		}
	}
}
