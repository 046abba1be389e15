package cmd

import (
	"context"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/train"
)

// PretrainOptions is what the flags of pretrain say.
type PretrainOptions struct {
	Config string   // run file
	Set    []string // key.path=value overrides
	Data   string   // text to train on, over data.path
	Out    string   // run directory, over out
	Dense  bool     // no pruning
	Resume bool     // go on with the run in the run directory
	Allow  []string // keys that a resumed run may have changed
	Force  bool     // start over in a directory that holds a run; go on with too little memory or disk

	From          string // finetune: model directory to begin with, over from
	Merge         bool   // finetune: write the model with its adapters folded in
	NewClassifier bool   // finetune: over new_classifier

	command string          // finetune, or "" for pretrain
	ranks   ranks           // zero: alone
	disk    checkpoint.Disk // tests have others
	first   train.Hook      // runs before all others; for tests
}

func pretrainCommand() *cli.Command {
	return &cli.Command{
		Name:  "pretrain",
		Usage: "train a transformer from scratch, pruning coupled units on the way",
		Description: "Trains the model of a run file, gathers evidence about its coupled units in every step,\n" +
			"and shrinks the paired matrices in place at the events that the prune section asks for.\n" +
			"The run directory is itself a model directory for eval, generate and inspect.",
		Flags: runFlags(),
		Action: func(c *cli.Context) error {
			o := runOptions(c)
			if err := o.check(); err != nil {
				return fault.Usage(err)
			}
			return RunPretrain(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// runFlags are the flags of a training run.
func runFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "run `FILE` (YAML)"},
		&cli.StringSliceFlag{Name: "set", Usage: "override a key of the run file, `KEY.PATH=VALUE`; may be repeated"},
		&cli.StringFlag{Name: "data", Usage: "what to train on: a .txt, .jsonl or .parquet file, a folder, a glob, images `PATH` (over data.path)"},
		&cli.StringFlag{Name: "out", Usage: "run `DIR` (over the run file's out)"},
		&cli.BoolFlag{Name: "dense", Usage: "train without pruning"},
		&cli.BoolFlag{Name: "resume", Usage: "go on with the interrupted run in the run directory, from its newest good checkpoint"},
		&cli.StringSliceFlag{Name: "allow-change", Usage: "with --resume: `KEY.PATH` that may differ from the interrupted run, or several with commas; may be repeated"},
		&cli.BoolFlag{Name: "force", Usage: "start over in a run directory that already holds a run (not with --resume), and run although the memory or the disk looks too small"},
	)
}

func runOptions(c *cli.Context) PretrainOptions {
	return PretrainOptions{
		Config: c.String("config"), Set: c.StringSlice("set"), Data: c.String("data"), Out: c.String("out"),
		Dense: c.Bool("dense"), Resume: c.Bool("resume"), Allow: c.StringSlice("allow-change"), Force: c.Bool("force"), ranks: ranksOf(c),
	}
}

// check refuses flags that contradict each other.
func (o PretrainOptions) check() error {
	if o.Config == "" && !o.Resume {
		return errors.New("pretrain needs --config FILE (or --resume --out DIR to go on with a run)")
	}
	return o.checkResume()
}

// checkResume refuses what does not go with --resume.
func (o PretrainOptions) checkResume() error {
	switch {
	case o.Resume && o.Config == "" && o.Out == "":
		return errors.New("--resume needs the run directory: give --out DIR or --config FILE")
	case o.Resume && o.Config == "" && (len(o.Set) > 0 || o.Data != "" || o.Dense || o.From != ""):
		return errors.New("--set, --data, --dense and --from do not apply when the interrupted run's own configuration is used; give --config FILE as well")
	case len(o.Allow) > 0 && !o.Resume:
		return errors.New("--allow-change applies only with --resume")
	}
	return nil
}

// RunPretrain trains; the table of what came of it goes to out, the display to log.
func RunPretrain(ctx context.Context, o PretrainOptions, out, log io.Writer) error {
	run, err := o.load()
	if err != nil {
		return err
	}
	if run.From != "" || run.LoRA.Enabled() || run.Teacher.Enabled() {
		return fault.Usage(errors.New("from, lora and teacher are for ecospa finetune: pretrain trains a new model"))
	}
	j, err := prepare(run, o, log)
	if err != nil {
		return err
	}
	defer j.close()
	if err := j.train(ctx); err != nil || !j.ranks.lead() {
		return err
	}
	return errors.Join(j.linkBest(), j.report(out))
}

// load reads the run file, or the one that a resumed run left behind.
func (o PretrainOptions) load() (config.Run, error) {
	if o.Config == "" {
		return config.Load(runFile(o.Out), nil)
	}
	overrides := append([]string(nil), o.Set...)
	if o.Data != "" {
		overrides = append(overrides, "data.synthetic=", "data.path="+o.Data)
	}
	if o.Out != "" {
		overrides = append(overrides, "out="+o.Out)
	}
	if o.Dense {
		overrides = append(overrides, "prune.target=")
	}
	return config.Load(o.Config, overrides)
}
