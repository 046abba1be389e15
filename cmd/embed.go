package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// EmbedOptions is what the flags of embed say.
type EmbedOptions struct {
	Model, Data, Out string
	Text             data.Options
	Pooling          string // mean or cls; "" is what the model's files say
	Normalize        bool   // also where they do not
	Batch, Threads   int
	Weights          param.DType
	JSON, Force      bool
}

// EmbedResult is the outcome of embed.
type EmbedResult struct {
	Out        string  `json:"out"`
	Texts      int     `json:"texts"`
	Width      int     `json:"width"`
	Pooling    string  `json:"pooling"`
	Normalized bool    `json:"normalized"`
	Tokens     int     `json:"tokens"`
	Cut        int     `json:"cut"` // texts that were longer than max_tokens
	MaxTokens  int     `json:"max_tokens"`
	Seconds    float64 `json:"seconds"`
	TextsPerS  float64 `json:"texts_per_second"`
}

func embedCommand() *cli.Command {
	return &cli.Command{
		Name:  "embed",
		Usage: "make a vector of each text with an encoder (BERT, MiniLM)",
		Description: "Every document of --data is one text. Pooling, normalisation and the longest text are those of the model's\n" +
			"modules.json, 1_Pooling/config.json and sentence_bert_config.json, where it has them. --out is written as\n" +
			".npy (float32, texts by width) or as .jsonl (an array of numbers a line).",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model `DIR` of an encoder"},
			&cli.StringFlag{Name: "data", Required: true, Usage: "texts: a `FILE` (" + strings.Join(data.Extensions(), ", ") + "), a folder of them or a glob"},
			&cli.StringFlag{Name: "out", Required: true, Usage: "vectors, `FILE`.npy or .jsonl"},
			&cli.StringFlag{Name: "pooling", Usage: "`HOW` the hidden states become one vector: mean or cls; default what the model's files say"},
			&cli.BoolFlag{Name: "normalize", Usage: "vectors of length 1, also where the model's files do not say so"},
			&cli.IntFlag{Name: "batch", Value: 32, Usage: "texts a pass, `N`"},
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
			o := EmbedOptions{
				Model: c.String("model"), Data: c.String("data"), Out: c.String("out"), Text: textOptions(c), Pooling: c.String("pooling"),
				Normalize: c.Bool("normalize"), Batch: c.Int("batch"), Threads: c.Int("threads"), Weights: weights, JSON: c.Bool("json"), Force: c.Bool("force"),
			}
			if err := o.check(); err != nil {
				return fault.Usage(err)
			}
			return RunEmbed(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

func (o EmbedOptions) check() error {
	if o.Pooling != "" {
		if _, err := model.ParsePooling(o.Pooling); err != nil {
			return fmt.Errorf("--%w", err)
		}
	}
	switch {
	case o.Batch < 1 || o.Threads < 0:
		return fmt.Errorf("--batch is %d and --threads %d, expected at least 1 and 0", o.Batch, o.Threads)
	case !vectorFile(o.Out):
		return fmt.Errorf("--out is %s, expected a name that ends with .npy or .jsonl", o.Out)
	case o.Text.Prompt != "" || o.Text.Pack != "":
		return errors.New("--prompt-field and --pack do not apply: each document is one text")
	}
	return checkText(o.Text)
}

// RunEmbed writes the vectors and prints what was done to out, notes about the model to log.
func RunEmbed(ctx context.Context, o EmbedOptions, out, log io.Writer) error {
	if err := vacant(o.Out, o.Data, o.Force); err != nil {
		return err
	}
	b, err := openBundle(o.Model, bundle.Options{Weights: o.Weights}, log)
	if err != nil {
		return err
	}
	defer b.Close()
	e, err := b.Embedding()
	if err != nil {
		return err
	}
	if o.Pooling != "" {
		e.Pooling = o.Pooling
	}
	if e.Pooling == "" {
		return fault.Usage(fmt.Errorf("%s has no modules.json that says how vectors are made: give --pooling mean or --pooling cls", o.Model))
	}
	part, err := data.Read(o.Data, o.Text)
	if err != nil {
		return fault.BadInput(err)
	}
	if part.Shards != nil {
		return fault.BadInput(fmt.Errorf("%s holds token ids, expected texts", o.Data))
	}
	r := EmbedResult{Out: o.Out, Texts: len(part.Documents), Width: b.Model.Arch().Hidden, Pooling: e.Pooling, Normalized: e.Normalize || o.Normalize, MaxTokens: e.MaxTokens}
	var texts [][]int32
	for _, d := range part.Documents {
		ids, cut := e.Encode(b.Tokenizer, d)
		if cut {
			r.Cut++
		}
		texts, r.Tokens = append(texts, ids), r.Tokens+len(ids)
	}
	pool := subject(b, alone, o.Threads).Pool
	defer pool.Close()
	start := time.Now()
	embedder := infer.Embedder{Model: b.Model.(model.Encoder), Set: b.Set, Pool: pool, Pooling: model.Pooling(e.Pooling), Normalize: r.Normalized, Batch: o.Batch}
	vectors, err := embedder.Embed(ctx, texts)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	r.TextsPerS = float64(r.Texts) / r.Seconds
	if err := writeVectors(o.Out, vectors); err != nil {
		return err
	}
	return show(out, r, o.JSON)
}

func (r EmbedResult) String() string {
	cut := ""
	if r.Cut > 0 {
		cut = fmt.Sprintf("cut         %d texts were longer than %d tokens\n", r.Cut, r.MaxTokens)
	}
	return fmt.Sprintf("texts       %d (%d tokens)\n%svectors     %s: %d numbers each, pooling %s, normalized %t\nspeed       %.1f texts/s\n",
		r.Texts, r.Tokens, cut, r.Out, r.Width, r.Pooling, r.Normalized, r.TextsPerS)
}
