package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/run"
)

// trainOptions is what the flags of pretrain and finetune say.
type trainOptions struct {
	run.Request
	Allow []string // keys that a resumed run may have changed
	Force bool     // replace a run; go on with too little memory or disk
	Find  bool     // test learning rates instead
	ranks ranks
}

// check refuses flags that contradict each other.
func (o trainOptions) check() error {
	own := o.Config == "" && o.Mode != run.New && run.Exists(o.Out)
	switch {
	case o.Mode != run.New && o.Config == "" && o.Out == "":
		return errors.New("--resume needs the run directory: give --out DIR or --config FILE")
	case (own || o.Mode == run.Continue && o.Config == "") && (len(o.Set) > 0 || o.Dense || o.Mode == run.Continue && o.From != ""):
		return errors.New("--set, --dense and --from do not apply when the interrupted run's own configuration is used; give --config FILE as well")
	case len(o.Allow) > 0 && o.Mode == run.New:
		return errors.New("--allow-change applies only with --resume")
	case o.Find && o.Mode != run.New:
		return errors.New("--find-lr trains no run: it cannot be combined with --resume")
	case o.Steps < 0 || o.Threads < 0:
		return fmt.Errorf("--steps is %d and --threads %d, expected 0 or more", o.Steps, o.Threads)
	}
	return nil
}

// options is the run's own part of the flags.
func (o trainOptions) options(notify func(run.Event)) run.Options {
	r := o.ranks.orAlone()
	ro := run.Options{
		Mode: o.Mode, Allow: o.Allow, Force: o.Force, Merge: o.Merge, Version: Version, Notify: notify,
		Ranks: run.Ranks{Group: r.Group, Threads: r.Threads(0), Library: r.Library()},
	}
	for key, given := range map[string]bool{"train.steps": o.Steps > 0, "train.threads": o.Threads > 0} {
		if given {
			ro.Allow = append(ro.Allow[:len(ro.Allow):len(ro.Allow)], key)
		}
	}
	return ro
}

// command is the subcommand's name.
func (o trainOptions) command() string {
	if o.Finetune {
		return "finetune"
	}
	return "pretrain"
}

// runTraining trains a model. The summary goes to out, progress to log.
func runTraining(ctx context.Context, o trainOptions, out, log io.Writer) error {
	c, err := o.File()
	if err != nil {
		return err
	}
	p := progress.NewTraining(log)
	defer context.AfterFunc(ctx, p.Interrupted)()
	if o.Find {
		curve, err := run.FindLR(ctx, c, o.options(p.Show), o.Steps)
		switch {
		case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
			return fmt.Errorf("%w: nothing was written", errInterrupted)
		case err != nil || curve == nil: // other ranks than the lead have none
			return o.advise(err)
		}
		return show(out, curve, false)
	}
	j, err := run.Start(ctx, c, o.options(p.Show))
	if errors.Is(err, run.ErrFinished) {
		_, err = fmt.Fprintf(out, "%s is already finished, nothing was changed; --steps N trains it longer\n", c.Out)
		return err
	}
	if err != nil {
		return o.advise(err)
	}
	defer j.Close()
	p.Watch(j)
	r, err := j.Train(ctx)
	if err != nil || r == nil { // other ranks than the lead have no result
		return o.advise(err)
	}
	return show(out, r, false)
}

// advise adds to an error which flag helps.
func (o trainOptions) advise(err error) error {
	var changed *run.ChangedError
	var stopped *run.Interrupted
	switch {
	case errors.Is(err, run.ErrExists):
		return fmt.Errorf("%w: continue it with --resume, replace it with --force, or choose another --out", err)
	case errors.Is(err, run.ErrTooLarge):
		return fmt.Errorf("%w, or try anyway with --force", err)
	case errors.Is(err, run.ErrClasses):
		return fmt.Errorf("%w; --new-classifier trains a classifier for the data's classes", err)
	case errors.As(err, &changed):
		return fmt.Errorf("%w; accept it with --allow-change %s, or change it back", err, strings.Join(changed.Keys(), ","))
	case errors.As(err, &stopped) && stopped.Saved:
		return fmt.Errorf("%w; go on with: ecospa %s --resume --out %s", err, o.command(), units.ShellWord(stopped.Dir))
	}
	return err
}
