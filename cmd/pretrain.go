package cmd

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/run"
)

func pretrainCommand() *cli.Command {
	return &cli.Command{
		Name:  "pretrain",
		Usage: "train a transformer from scratch, pruning coupled units during training",
		Description: "Trains the model of a run file, gathers importance evidence for its coupled units in every step,\n" +
			"and shrinks the paired matrices in place at the events that the prune section asks for.\n" +
			"The run directory is itself a model directory for eval, generate and inspect.",
		Flags: runFlags(),
		Action: func(c *cli.Context) error {
			o := trainOptionsOf(c)
			if o.Config == "" && !o.Own() {
				return fault.Usage(errors.New("pretrain needs --config FILE (or --resume --out DIR to continue a run)"))
			}
			if err := o.check(); err != nil {
				return fault.Usage(err)
			}
			return runTraining(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// runFlags are the flags of a training run.
func runFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "run `FILE` (YAML), or the name of an example (ecospa config list)"},
		&cli.StringSliceFlag{Name: "set", Usage: "override a key of the run file, `KEY.PATH=VALUE`; may be repeated"},
		&cli.StringFlag{Name: "data", Usage: "what to train on: a .txt, .jsonl or .parquet file, a folder, a glob, images `PATH` (overrides data.path)"},
		&cli.StringFlag{Name: "out", Usage: "run `DIR` (overrides the run file's out)"},
		&cli.IntFlag{Name: "steps", Usage: "optimizer steps, `N` (overrides train.steps); with --resume a finished run is trained longer"},
		&cli.BoolFlag{Name: "find-lr", Usage: "train no run: raise the learning rate in every step (100, or --steps) and print the losses and a rate to begin with"},
		&cli.IntFlag{Name: "threads", Usage: "worker threads, `N` (overrides train.threads); 0 is what the run file says, else one per core"},
		&cli.BoolFlag{Name: "dense", Usage: "train without pruning"},
		&cli.GenericFlag{Name: "resume", Value: new(resumeFlag), Usage: "resume the interrupted run in --out from its newest good checkpoint; `=auto`: resume if there is one, else start a new run"},
		&cli.StringSliceFlag{Name: "allow-change", Usage: "with --resume: `KEY.PATH` that may differ from the interrupted run, or several separated by commas; may be repeated"},
		&cli.BoolFlag{Name: "force", Usage: "replace the run in the run directory (not with --resume), and run even if memory or disk space looks too small"},
	)
}

// resumeFlag is --resume: alone it is true, with =auto whatever the directory holds.
type resumeFlag struct{ mode run.Mode }

var resumeModes = map[string]run.Mode{"false": run.New, "true": run.Continue, "auto": run.Auto}

func (f *resumeFlag) Set(value string) error {
	m, ok := resumeModes[value]
	if !ok {
		return fmt.Errorf("expected --resume or --resume=auto, found %q", value)
	}
	f.mode = m
	return nil
}

func (f *resumeFlag) String() string {
	for name, m := range resumeModes {
		if f != nil && m == f.mode && m != run.New {
			return name
		}
	}
	return ""
}

// IsBoolFlag lets --resume stand alone.
func (f *resumeFlag) IsBoolFlag() bool { return true }

func trainOptionsOf(c *cli.Context) trainOptions {
	o := trainOptions{Find: c.Bool("find-lr"), Allow: c.StringSlice("allow-change"), Force: c.Bool("force"), ranks: ranksOf(c), Request: run.Request{
		Config: c.String("config"), Set: c.StringSlice("set"), Data: c.String("data"), Out: c.String("out"), Steps: c.Int("steps"), Threads: c.Int("threads"), Dense: c.Bool("dense"),
	}}
	if f, ok := c.Generic("resume").(*resumeFlag); ok {
		o.Mode = f.mode
	}
	return o
}
