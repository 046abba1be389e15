package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/prune"
)

// units opens the model and the sequences that show what its units do.
func (o EvalOptions) units(log io.Writer) (*prune.Job, func(), error) {
	k := coupled.DefaultConfig()
	k.Criterion = o.Criterion
	if err := k.Validate(); err != nil {
		return nil, nil, fault.Usage(err)
	}
	b, w, err := o.open(log)
	if err != nil {
		return nil, nil, err
	}
	context, err := w.Context(b.Model, o.Context, 512)
	var s prune.Sequences
	if err == nil {
		s, err = w.Calibration(o.Sequences, context, k.Seed)
	}
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	on := subject(b, o.ranks.orAlone(), o.Threads)
	p := &prune.Job{
		Calibration: prune.Calibration{Model: on.Model, Set: on.Set, Pool: on.Pool, Data: s},
		Config:      k, Improve: coupled.DefaultImprove(), Trial: 8,
		Notify: func(e prune.Event) { fmt.Fprintln(log, e) },
	}
	return p, func() { on.Close(); b.Close() }, nil
}

// RunImportance prints and draws how scores are distributed.
func RunImportance(o EvalOptions, out, log io.Writer) error {
	p, done, err := o.units(log)
	if err != nil {
		return err
	}
	defer done()
	r, err := p.Importance()
	if err != nil {
		return err
	}
	if err := o.draw(report.Importance(r)); err != nil {
		return err
	}
	return show(out, r, o.JSON)
}

// RunSensitivity prints and draws the loss against the kept share of each kind.
func RunSensitivity(o EvalOptions, out, log io.Writer) error {
	p, done, err := o.units(log)
	if err != nil {
		return err
	}
	defer done()
	r, err := p.Sensitivity()
	if err != nil {
		return err
	}
	if err := o.draw(report.Sensitivity(r)); err != nil {
		return err
	}
	return show(out, r, o.JSON)
}

// draw writes a figure to --plot, where it is given.
func (o EvalOptions) draw(f report.Chart) error {
	if o.Plot == "" {
		return nil
	}
	if _, err := os.Lstat(o.Plot); err == nil && !o.Force {
		return fault.Usage(fmt.Errorf("%s is already there; give --force to overwrite it", o.Plot))
	}
	b, err := f.Encode(o.Plot, 640, 400)
	if errors.Is(err, report.ErrFormat) {
		return fault.Usage(err)
	}
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(o.Plot, b)
}
