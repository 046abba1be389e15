package cmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/progress"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/tokenizer"
	"github.com/ecospa/ecospa/pkg/workload"
)

func dataCommand() *cli.Command {
	return &cli.Command{
		Name:  "data",
		Usage: "prepare corpora larger than memory, and sample texts from a model",
		Subcommands: []*cli.Command{
			{
				Name: "prepare", Usage: "encode a corpus once into memory-mapped shards; --data or data.path then names the folder", Before: noArguments(""),
				Description: "Documents are read one by one, encoded in parallel and written in order; memory use does not\n" +
					"grow with the corpus. Chats are rendered by the template of --model.",
				Flags: append([]cli.Flag{
					&cli.StringFlag{Name: "data", Required: true, Usage: "a `FILE`, a folder or a glob, as data.path of a run file"},
					&cli.StringFlag{Name: "out", Required: true, Usage: "`DIR` of the shards"},
					&cli.StringFlag{Name: "model", Usage: "model `DIR` whose tokenizer and chat template are used"},
					&cli.StringFlag{Name: "tokenizer", Usage: "tokenizer `FILE` or its directory, instead of --model"},
					&cli.IntFlag{Name: "workers", Aliases: []string{"threads", "t"}, Usage: "texts encoded in parallel, `N`; default one per core"},
					&cli.BoolFlag{Name: "force", Usage: "replace the prepared corpus in --out"},
					jsonFlag(),
				}, textFlags()...),
				Action: prepareData,
			},
			{
				Name: "sample", Usage: "sample texts from a model, many at once, into a .jsonl file", Before: noArguments(""),
				Description: "The same command continues an incomplete file.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`, or a .gguf file"},
					&cli.StringFlag{Name: "out", Required: true, Usage: "`FILE`.jsonl, one record per line with the field text"},
					&cli.IntFlag{Name: "count", Required: true, Usage: "number of texts, `N`"},
					&cli.IntFlag{Name: "tokens", Usage: "most tokens per text, `N`; default the model's context"},
					&cli.StringFlag{Name: "prompt", Usage: "`TEXT` that every sample begins with; default the tokenizer's BOS token"},
					&cli.Float64Flag{Name: "temperature", Value: 1, Usage: "logits are divided by `X`; 0 takes the most likely token"},
					&cli.IntFlag{Name: "top-k", Usage: "sample from the `K` most likely tokens; 0 is all"},
					&cli.Float64Flag{Name: "top-p", Value: 1, Usage: "sample from the most likely tokens that together have probability `P`; 1 is all"},
					&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`SEED` of sampling; each text's seed is derived from it and the text's number"},
					&cli.IntFlag{Name: "batch", Value: 64, Usage: "texts per batch, `N`"},
					weightsFlag(),
					threadsFlag(),
				},
				Action: sampleData,
			},
		},
	}
}

func prepareData(c *cli.Context) error {
	o := data.PrepareOptions{Path: c.String("data"), Out: c.String("out"), Options: textOptions(c), Force: c.Bool("force"), Workers: c.Int("workers")}
	if (c.String("model") == "") == (c.String("tokenizer") == "") || o.Workers < 0 {
		return fault.Usage(errors.New("data prepare needs --model DIR or --tokenizer FILE, and --workers of 0 or more"))
	}
	if err := checkText(o.Options); err != nil {
		return fault.Usage(err)
	}
	var err error
	if path := c.String("tokenizer"); path != "" {
		o.Tokenizer, err = tokenizer.Open(path)
	} else {
		var b *bundle.Bundle
		if b, err = openBundle(c.String("model"), bundle.Options{ShapesOnly: true}, c.App.ErrWriter); err != nil {
			return err
		}
		defer b.Close()
		if err = b.Text(); err == nil {
			o.Tokenizer = b.Tokenizer
			if o.Template, err = b.Chat(o.Options.Template); err == nil && o.Template == nil {
				o.Template, err = b.Chat("chatml")
			}
		}
	}
	if err != nil {
		return fault.BadInput(err)
	}
	shown := progress.NewWork(c.App.ErrWriter)
	count := shown.Phases("bytes")
	o.Progress = func(p data.PrepareProgress) {
		count(fmt.Sprintf("encoding file %d of %d", min(p.Files+1, p.Of), p.Of), p.Read, p.Size)
	}
	p, err := data.Prepare(c.Context, o)
	shown.End()
	if err != nil {
		return err
	}
	return show(c.App.Writer, p, c.Bool("json"))
}

func sampleData(c *cli.Context) error {
	o := workload.SampleOptions{
		Count: c.Int("count"), Tokens: c.Int("tokens"), Prompt: c.String("prompt"), Batch: c.Int("batch"), Threads: c.Int("threads"),
		Sampler: infer.SamplerConfig{Temperature: c.Float64("temperature"), TopK: c.Int("top-k"), TopP: c.Float64("top-p"), Seed: c.Uint64("seed")},
	}
	if err := o.Sampler.Validate(); err != nil || o.Count < 1 || o.Tokens < 0 || o.Batch < 1 || o.Threads < 0 {
		return fault.Usage(errors.Join(err, errors.New("--count and --batch are expected to be 1 or more, --tokens and --threads 0 or more")))
	}
	weights, err := weightsOf(c)
	if err != nil {
		return err
	}
	b, err := openBundle(c.String("model"), bundle.Options{Weights: weights}, c.App.ErrWriter)
	if err != nil {
		return err
	}
	defer b.Close()
	shown := progress.NewWork(c.App.ErrWriter)
	count, written := shown.Count("sampling", "texts"), 0
	o.Progress = func(done, tokens int) { written = tokens; count(int64(done), int64(o.Count)) }
	start := time.Now()
	there, err := workload.SampleToFile(c.Context, b, c.String("out"), o)
	shown.End()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s: %d texts, %d of them there before; %d tokens in %.1f s\n", c.String("out"), o.Count, there, written, time.Since(start).Seconds())
	return nil
}
