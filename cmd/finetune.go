package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/train"
)

func finetuneCommand() *cli.Command {
	return &cli.Command{
		Name:  "finetune",
		Usage: "train a model further: all weights or low-rank adapters, from data or a teacher, pruning on the way if asked to",
		Description: "Begins with the weights and the tokenizer of a model directory, whoever wrote it, and trains as pretrain\n" +
			"does: the same run file without the sections model and tokenizer, the same run directory, the same pruning\n" +
			"events. Beside text, the data may be .jsonl lines with a prompt, which is not learned, and a response.",
		Flags: runFlags(
			&cli.StringFlag{Name: "from", Usage: "model or run `DIR` to begin with (over from); required unless the run file names one or with --resume"},
			&cli.BoolFlag{Name: "new-classifier", Usage: "of an image model: train a new classifier for the data's classes (over new_classifier)"},
			&cli.BoolFlag{Name: "merge", Usage: "with lora: write the model with the adapters folded in to RUN/merged as well"},
		),
		Action: func(c *cli.Context) error {
			o := runOptions(c)
			o.command, o.From, o.Merge = "finetune", c.String("from"), c.Bool("merge")
			o.NewClassifier = c.Bool("new-classifier")
			if err := o.checkFinetune(); err != nil {
				return fault.Usage(err)
			}
			return RunFinetune(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// checkFinetune refuses flags that contradict each other.
func (o PretrainOptions) checkFinetune() error {
	if o.Config == "" && !o.Resume && (o.From == "" || o.Data == "" || o.Out == "") {
		return errors.New("finetune needs --config FILE, or --from DIR, --data PATH and --out DIR (or --resume --out DIR to go on with a run)")
	}
	return o.checkResume()
}

// RunFinetune trains further; the table of what came of it goes to out, the display to log.
func RunFinetune(ctx context.Context, o PretrainOptions, out, log io.Writer) error {
	run, err := o.loadFinetune()
	if err != nil {
		return err
	}
	switch {
	case run.From == "":
		return fault.Usage(errors.New("from is empty, expected the model directory to begin with (or give --from); pretrain trains a new model"))
	case o.Merge && !run.LoRA.Enabled():
		return fault.Usage(errors.New("--merge applies only with adapters: give lora.rank"))
	case run.LoRA.Enabled() && run.Prune.Enabled() && run.Prune.Calibration > 0:
		return fault.Usage(errors.New("prune.calibration changes weights that lora freezes: leave it out, or prune before"))
	}
	j, err := prepare(run, o, log)
	if err != nil {
		return err
	}
	defer j.close()
	if err := j.train(ctx); err != nil || !j.ranks.lead() {
		return err
	}
	if err := j.settleAdapters(o.Merge); err != nil {
		return err
	}
	if err := errors.Join(j.linkBest(), j.report(out)); err != nil {
		return err
	}
	if j.run.Checkpoint.KeepBest && j.best.Step >= 0 {
		fmt.Fprintf(out, "Best       %s (step %d, validation loss %.4f)\n", filepath.Join(j.run.Out, checkpoint.BestLink), j.best.Step, j.best.Loss)
	}
	if j.adapters != nil {
		fmt.Fprintf(out, "Adapters   %s\n", filepath.Join(j.run.Out, adapterDir))
		if o.Merge {
			fmt.Fprintf(out, "Merged     %s\n", filepath.Join(j.run.Out, mergedDir))
		}
	}
	return nil
}

func (o PretrainOptions) loadFinetune() (config.Run, error) {
	if o.Resume && o.Config == "" {
		return config.Load(runFile(o.Out), nil)
	}
	overrides := append([]string(nil), o.Set...)
	for _, v := range []struct{ key, value string }{{"data.path", o.Data}, {"out", o.Out}, {"from", o.From}} {
		if v.value != "" {
			overrides = append(overrides, v.key+"="+v.value)
		}
	}
	if o.Dense {
		overrides = append(overrides, "prune.target=")
	}
	if o.NewClassifier {
		overrides = append(overrides, "new_classifier=true")
	}
	if o.Config != "" {
		return config.Load(o.Config, overrides)
	}
	// A short run at a fine-tuning rate.
	return config.Parse([]byte("train: {steps: 200, batch: 8}\noptim: {lr: 2e-4}\n"), overrides)
}

// source opens the model that the run begins with.
func (j *job) source() error {
	if j.run.From == "" || j.from != nil {
		return nil
	}
	if same(j.run.From, j.run.Out) {
		return fault.Usage(fmt.Errorf("out is the model that the run begins with, %s: give another", j.run.From))
	}
	l, err := openModel(j.run.From)
	if err != nil {
		return err
	}
	if _, ok := l.m.(model.Classifier); !ok && l.tok == nil {
		l.root.Close()
		return fault.BadInput(fmt.Errorf("%s holds no tokenizer.json", j.run.From))
	}
	j.from = l
	return nil
}

// learn attaches adapters and the teacher to the loop; root is the checkpoint that is
// gone on from, or nil.
func (j *job) learn(root *os.Root) (err error) {
	if j.run.LoRA.Enabled() {
		if root != nil {
			j.adapters, _, err = bundle.ReadAdapters(root, j.set)
		} else {
			j.adapters, err = train.NewAdapters(j.set, j.run.LoRA, j.run.Train.Seed)
		}
		if err != nil {
			return fault.BadInput(err)
		}
		if j.adapters == nil {
			return fault.BadInput(fmt.Errorf("%s holds no adapters", root.Name()))
		}
		j.loop.Adapt(j.adapters)
	}
	if t := j.run.Teacher; t.Enabled() {
		l, err := openModel(t.Model)
		if err != nil {
			return err
		}
		l.root.Close()
		if l.tok != nil && j.tok != nil {
			have, err1 := l.tok.JSON()
			want, err2 := j.tok.JSON()
			if err1 == nil && err2 == nil && string(have) != string(want) {
				l.set.Weights.Close()
				return fault.BadInput(fmt.Errorf("teacher.model %s has another tokenizer than the model that is trained", t.Model))
			}
		}
		if _, images := l.m.(model.Classifier); images != (j.pics != nil) {
			l.set.Weights.Close()
			return fault.Usage(fmt.Errorf("teacher.model %s is a %s, which does not read what the model that is trained reads", t.Model, l.m.Family()))
		}
		if err := j.loop.Learn(t, l.m, l.set); err != nil {
			return fault.Usage(err)
		}
	}
	return nil
}
