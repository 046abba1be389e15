package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/run"
)

// trainOptions is what the flags of pretrain and finetune say.
type trainOptions struct {
	Config string   // run file
	Set    []string // key.path=value overrides
	Data   string   // what to train on, over data.path
	Out    string   // run directory, over out
	Steps  int      // over train.steps; 0 is not given
	Dense  bool     // no pruning
	Resume run.Mode
	Allow  []string // keys that a resumed run may have changed
	Force  bool     // replace a run; go on with too little memory or disk

	From          string // finetune: model directory to begin with, over from
	Merge         bool   // finetune: write the model with its adapters folded in
	NewClassifier bool   // finetune: over new_classifier

	finetune bool
	strict   bool // of the model that a run file names
	ranks    ranks
}

// check refuses flags that contradict each other.
func (o trainOptions) check() error {
	own := o.Config == "" && o.Resume != run.New && run.Exists(o.Out)
	switch {
	case o.Resume != run.New && o.Config == "" && o.Out == "":
		return errors.New("--resume needs the run directory: give --out DIR or --config FILE")
	case (own || o.Resume == run.Continue && o.Config == "") && (len(o.Set) > 0 || o.Dense || o.Resume == run.Continue && o.From != ""):
		return errors.New("--set, --dense and --from do not apply when the interrupted run's own configuration is used; give --config FILE as well")
	case len(o.Allow) > 0 && o.Resume == run.New:
		return errors.New("--allow-change applies only with --resume")
	case o.Steps < 0:
		return fmt.Errorf("--steps is %d, expected 1 or more", o.Steps)
	}
	return nil
}

// file is the run file with what the flags say over it.
func (o trainOptions) file() (c config.Run, err error) {
	switch {
	case o.Config != "":
		c, err = loadRun(o.Config, o.Set)
	case o.Resume == run.Continue || o.Resume == run.Auto && run.Exists(o.Out):
		c, err = run.Config(o.Out)
	default: // finetune: a short run at a fine-tuning rate
		c, err = config.Parse([]byte("train: {steps: 200, batch: 8}\noptim: {lr: 2e-4}\n"), o.Set)
	}
	if err != nil {
		return c, err
	}
	for to, value := range map[*string]string{&c.Data.Path: o.Data, &c.Out: o.Out, &c.From: o.From} {
		if value != "" {
			*to = value
		}
	}
	if o.Data != "" {
		c.Data.Synthetic = ""
	}
	if o.Steps > 0 {
		c.Train.Steps, c.Train.Epochs = o.Steps, 0
	}
	if o.Dense {
		c.Dense()
	}
	c.NewClassifier = c.NewClassifier || o.NewClassifier
	if err := o.fits(c); err != nil || !o.strict || o.From != "" || c.From == "" || o.Resume != run.New {
		return c, err
	}
	return c, bundle.CheckConfig(c.From)
}

// fits refuses a run file that is for the other subcommand.
func (o trainOptions) fits(c config.Run) error {
	switch {
	case !o.finetune && (c.From != "" || c.LoRA.Enabled() || c.Teacher.Enabled()):
		return fault.Usage(errors.New("from, lora and teacher are for ecospa finetune: pretrain trains a new model"))
	case !o.finetune:
		return nil
	case c.From == "":
		return fault.Usage(errors.New("from is empty, expected the model directory to begin with (or give --from); pretrain trains a new model"))
	case o.Merge && !c.LoRA.Enabled():
		return fault.Usage(errors.New("--merge applies only with adapters: give lora.rank"))
	}
	return nil
}

// options is the run's own part of the flags.
func (o trainOptions) options(notify func(run.Event)) run.Options {
	r := o.ranks.orAlone()
	ro := run.Options{
		Mode: o.Resume, Allow: o.Allow, Force: o.Force, Merge: o.Merge, Version: Version, Notify: notify,
		Ranks: run.Ranks{Group: r.Group, Threads: r.threads()},
	}
	if r.world != nil {
		ro.Ranks.Library = r.world.Library()
	}
	if o.Steps > 0 {
		ro.Allow = append(ro.Allow[:len(ro.Allow):len(ro.Allow)], "train.steps")
	}
	return ro
}

// command is the subcommand's name.
func (o trainOptions) command() string {
	if o.finetune {
		return "finetune"
	}
	return "pretrain"
}

// runTraining trains a model. The summary goes to out, progress to log.
func runTraining(ctx context.Context, o trainOptions, out, log io.Writer) error {
	c, err := o.file()
	if err != nil {
		return err
	}
	p := newProgress(log)
	defer context.AfterFunc(ctx, p.interrupted)()
	j, err := run.Start(ctx, c, o.options(p.event))
	if errors.Is(err, run.ErrFinished) {
		_, err = fmt.Fprintf(out, "%s is already finished, nothing was changed; --steps N trains it longer\n", c.Out)
		return err
	}
	if err != nil {
		return o.advise(err)
	}
	defer j.Close()
	p.watch(j)
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
		return fmt.Errorf("%w: go on with --resume, start over with --force, or choose another --out", err)
	case errors.Is(err, run.ErrTooLarge):
		return fmt.Errorf("%w, or try all the same with --force", err)
	case errors.Is(err, run.ErrClasses):
		return fmt.Errorf("%w; --new-classifier trains a classifier for the data's classes", err)
	case errors.As(err, &changed):
		return fmt.Errorf("%w; go on with --allow-change %s, or leave it as it was", err, strings.Join(changed.Keys(), ","))
	case errors.As(err, &stopped) && stopped.Saved:
		return fmt.Errorf("%w; go on with: ecospa %s --resume --out %s", err, o.command(), units.ShellWord(stopped.Dir))
	}
	return err
}
