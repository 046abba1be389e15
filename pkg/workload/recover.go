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

// stopTokens are the held-out tokens by which a recovery decides which weights are best.
const stopTokens = 8192

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

// Recover adds a recovery to a job on the model at path: training on the workload's
// training part for a budget (recovery.Options.ParseBudget; "" and "none" add nothing), at the
// context of the calibration.
func Recover(job *prune.Job, w Workload, path, budget string) error {
	if budget == "" || budget == "none" {
		return nil
	}
	stage := &recovery.Stage{Options: recovery.Options{Context: job.Data.Context}, Documents: job.Data.Packed()}
	if err := stage.ParseBudget(budget); err != nil {
		return fault.Usage(fmt.Errorf("recover: %w", err))
	}
	stage.Options = stage.Resolve()
	batches, err := w.Batches(stage.Batch, stage.Context, data.Cursor{Seed: job.Config.Seed})
	if err != nil {
		return err
	}
	stage.Batches = batches
	stage.Held = func(n recovery.Net) (recovery.Judge, error) {
		e, err := train.NewEvaluator(n.Model, n.Set, job.Pool, stage.Batch, stage.Context, false)
		return judge{e, func() iter.Seq2[data.Batch, error] { return w.Validation(stage.Batch, stage.Context, stopTokens) }}, err
	}
	job.Recovery = stage
	job.Parent = func() (recovery.Net, func(), error) {
		b, err := bundle.Open(path, bundle.Options{})
		if err != nil {
			return recovery.Net{}, nil, err
		}
		if v := job.Vocabulary; v != nil {
			if _, err := b.KeepVocabulary(v.Kept); err != nil {
				b.Close()
				return recovery.Net{}, nil, err
			}
		}
		return recovery.Net{Model: b.Model, Set: b.Set}, b.Close, nil
	}
	return nil
}
