package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/run"
)

func finetuneCommand() *cli.Command {
	return &cli.Command{
		Name:  "finetune",
		Usage: "train a model further: all weights or low-rank adapters, from data or a teacher, optionally pruning during training",
		Description: "Starts from the weights and the tokenizer of any model directory and trains as pretrain\n" +
			"does: the same run file without the sections model and tokenizer, the same run directory, the same pruning\n" +
			"events. Besides text, the data may be .jsonl records with a prompt, which is excluded from the loss, and a response, or\n" +
			"chats (messages, conversations, instruction and output, prompt and response): the model's chat template\n" +
			"renders them, and only the assistant's turns count in the loss.",
		Flags: runFlags(
			&cli.StringFlag{Name: "from", Usage: "model or run `DIR`, or a .gguf file, to start from (overrides from); required unless the run file names one or with --resume"},
			&cli.BoolFlag{Name: "new-classifier", Usage: "image models: train a new classifier for the data's classes (overrides new_classifier)"},
			&cli.IntFlag{Name: "show", Usage: "train nothing: print the first `N` documents as tokens with their ids, + marking the tokens that count in the loss"},
			&cli.StringFlag{Name: "weights", Usage: "`TYPE` of the weights in memory (overrides train.weights): f32, bf16, or with adapters q8_0"},
			&cli.StringFlag{Name: "preference", Usage: "learn from pairs of a chosen and a rejected answer by this `LOSS` (overrides preference.loss): dpo or simpo"},
			&cli.IntFlag{Name: "adapters", Usage: "train low-rank adapters of this `RANK` on frozen weights (overrides lora.rank)"},
			&cli.BoolFlag{Name: "merge", Usage: "with adapters: also write the model with the adapters merged into its weights, to RUN/merged"},
		),
		Action: func(c *cli.Context) error {
			o := trainOptionsOf(c)
			o.Finetune, o.Strict, o.From, o.Merge, o.NewClassifier = true, c.Bool(strictFlag), c.String("from"), c.Bool("merge"), c.Bool("new-classifier")
			for flag, key := range map[string]string{"weights": "train.weights", "preference": "preference.loss"} {
				if c.IsSet(flag) {
					o.Set = append(o.Set, key+"="+c.String(flag))
				}
			}
			if c.IsSet("adapters") {
				o.Set = append(o.Set, fmt.Sprintf("lora.rank=%d", c.Int("adapters")))
			}
			short := o.From != "" && o.Data != "" && (o.Out != "" || c.IsSet("show") || o.Find)
			if o.Config == "" && !short && !o.Own() {
				return fault.Usage(errors.New("finetune needs --config FILE, or --from DIR, --data PATH and --out DIR (or --resume --out DIR to continue a run)"))
			}
			if err := o.check(); err != nil {
				return fault.Usage(err)
			}
			if c.IsSet("show") {
				return showExamples(c, o)
			}
			return runTraining(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// showExamples prints documents as the run would learn them.
func showExamples(c *cli.Context, o trainOptions) error {
	n := c.Int("show")
	if n < 1 || o.Mode != run.New {
		return fault.Usage(errors.New("--show is expected to be 1 or more, and cannot be combined with --resume: nothing is trained"))
	}
	cfg, err := o.File()
	if err != nil {
		return err
	}
	e, err := run.ReadExamples(c.Context, cfg, n, progress.NewTraining(c.App.ErrWriter).Show)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.App.Writer, e.Text(os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(os.Stdout.Fd()))))
	return err
}
