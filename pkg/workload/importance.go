package workload

import (
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/prune"
)

// UnitOptions say how a model's units are measured.
type UnitOptions struct {
	Criterion string
	Sequences int // of the calibration
	Context   int // tokens of each; 0 is the model's context, at most 512
	Notify    func(prune.Event)
	Working   func(prune.Working) // progress; may be nil
}

// Units is a job by the default recipe of pruning, for its Importance and Sensitivity.
func Units(b *bundle.Bundle, w Workload, on prune.Subject, o UnitOptions) (*prune.Job, error) {
	k := coupled.DefaultConfig()
	k.Criterion = o.Criterion
	context, err := w.Context(b.Model, o.Context, 512)
	if err != nil {
		return nil, err
	}
	s, err := w.Calibration(o.Sequences, context, k.Seed)
	if err != nil {
		return nil, err
	}
	return &prune.Job{
		Calibration: prune.Calibration{Model: on.Model, Set: on.Set, Pool: on.Pool, Data: s},
		Config:      k, Improve: coupled.DefaultImprove(), Trial: 8, Notify: o.Notify, Working: o.Working,
	}, nil
}
