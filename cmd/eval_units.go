package cmd

import (
	"io"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/workload"
)

// RunUnits prints and draws how the scores of units are distributed, or the loss against
// the kept share of each kind.
func RunUnits(o EvalOptions, out, log io.Writer) error {
	k := coupled.DefaultConfig()
	k.Criterion = o.Criterion
	if err := k.Validate(); err != nil {
		return fault.Usage(err)
	}
	if err := vacant(o.Plot, "", o.Force); err != nil {
		return err
	}
	shown := progress.NewWork(log)
	defer shown.End()
	o.Weights = param.F32 // criteria ask for gradients of weights, and cuts are tried on them
	b, w, err := o.open(shown)
	if err != nil {
		return err
	}
	defer b.Close()
	on := subject(b, o.ranks.orAlone(), o.Threads)
	defer on.Close()
	job, err := workload.Units(b, w, on, workload.UnitOptions{
		Criterion: o.Criterion, Sequences: o.Sequences, Context: o.Context, Notify: func(e prune.Event) { shown.Say(e.String()) }, Working: shown.Pruning,
	})
	if err != nil {
		return err
	}
	r, f, err := report.Units(job, o.Sensitivity)
	shown.End()
	if err == nil && o.Plot != "" {
		err = f.Write(o.Plot)
	}
	if err != nil {
		return err
	}
	return show(out, r, o.JSON)
}
