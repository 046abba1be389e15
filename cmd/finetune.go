package cmd

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/run"
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
			o := trainOptionsOf(c)
			o.finetune, o.From, o.Merge, o.NewClassifier = true, c.String("from"), c.Bool("merge"), c.Bool("new-classifier")
			short := o.From != "" && o.Data != "" && o.Out != ""
			if o.Config == "" && !short && o.Resume != run.Continue && !(o.Resume == run.Auto && run.Exists(o.Out)) {
				return fault.Usage(errors.New("finetune needs --config FILE, or --from DIR, --data PATH and --out DIR (or --resume --out DIR to go on with a run)"))
			}
			if err := o.check(); err != nil {
				return fault.Usage(err)
			}
			return runTraining(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}
