package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/workload"
)

func embedCommand() *cli.Command {
	return &cli.Command{
		Name:  "embed",
		Usage: "compute an embedding of each text with an encoder (BERT, MiniLM)",
		Description: "Every document of --data is one text. Pooling, normalisation and the maximum length are those of the model's\n" +
			"modules.json, 1_Pooling/config.json and sentence_bert_config.json, if it has them. --out is written as\n" +
			".npy (float32, texts by width) or as .jsonl (one array of numbers per line).",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model `DIR` of an encoder"},
			&cli.StringFlag{Name: "data", Required: true, Usage: "texts: a `FILE` (" + strings.Join(data.Extensions(), ", ") + "), a folder of them or a glob"},
			&cli.StringFlag{Name: "out", Required: true, Usage: "vectors, `FILE`.npy or .jsonl"},
			&cli.StringFlag{Name: "pooling", Usage: "`HOW` hidden states are pooled: mean or cls; default as in the model's files"},
			&cli.BoolFlag{Name: "normalize", Usage: "normalize vectors to length 1, whatever the model's files say"},
			&cli.IntFlag{Name: "batch", Value: 32, Usage: "texts per batch, `N`"},
			&cli.BoolFlag{Name: "force", Usage: "overwrite --out"},
			weightsFlag(),
			threadsFlag(),
			jsonFlag(),
		}, textFlags()...),
		Action: func(c *cli.Context) error {
			weights, err := weightsOf(c)
			if err != nil {
				return err
			}
			shown := progress.NewWork(c.App.ErrWriter)
			o := workload.Embedding{
				Model: c.String("model"), Data: c.String("data"), Out: c.String("out"), Text: textOptions(c), Pooling: c.String("pooling"),
				Normalize: c.Bool("normalize"), Batch: c.Int("batch"), Threads: c.Int("threads"), Open: bundle.Options{Weights: weights},
				Log: shown.Say, Progress: shown.Count("embedding", "texts"),
			}
			if err := checkEmbedding(o); err != nil {
				return fault.Usage(err)
			}
			if err := vacant(o.Out, o.Data, c.Bool("force")); err != nil {
				return err
			}
			shown.Phase("reading " + o.Model)
			r, err := o.Run(c.Context)
			shown.End()
			if err != nil {
				return err
			}
			return show(c.App.Writer, r, c.Bool("json"))
		},
	}
}

// checkEmbedding refuses flags that contradict each other.
func checkEmbedding(o workload.Embedding) error {
	if o.Pooling != "" {
		if _, err := model.ParsePooling(o.Pooling); err != nil {
			return fmt.Errorf("--%w", err)
		}
	}
	switch {
	case o.Batch < 1 || o.Threads < 0:
		return fmt.Errorf("--batch is %d and --threads %d, expected at least 1 and 0", o.Batch, o.Threads)
	case !workload.VectorFile(o.Out):
		return fmt.Errorf("--out is %s, expected a name that ends with .npy or .jsonl", o.Out)
	case o.Text.Prompt != "" || o.Text.Pack != "":
		return errors.New("--prompt-field and --pack do not apply: each document is one text")
	}
	return checkText(o.Text)
}
