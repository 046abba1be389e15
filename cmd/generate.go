package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// GenerateOptions is what the flags of generate say.
type GenerateOptions struct {
	Model   string
	Prompt  string
	Tokens  int // new tokens
	Threads int
	DType   string      // of the weights in products: f32 or bf16
	Weights param.DType // type in which they are kept; "" is float32
	Sampler infer.SamplerConfig
}

func generateCommand() *cli.Command {
	return &cli.Command{
		Name:  "generate",
		Usage: "let a model continue a text",
		Description: "The prompt is encoded as the tokenizer's post_processor says: a LLaMA tokenizer prepends the beginning of a\n" +
			"text, GPT-2's adds nothing. An empty prompt is only that beginning, or else the end of a text. The text stops\n" +
			"at every end that the model's files name (eos_token_id).",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`"},
			&cli.StringFlag{Name: "prompt", Usage: "`TEXT` to continue; default standard input"},
			&cli.IntFlag{Name: "tokens", Value: 100, Usage: "new tokens at most, `N`"},
			&cli.Float64Flag{Name: "temperature", Value: 0.8, Usage: "logits are divided by `X`; 0 takes the most likely token"},
			&cli.IntFlag{Name: "top-k", Usage: "draw among the `K` most likely tokens; 0 is all"},
			&cli.Float64Flag{Name: "top-p", Value: 0.95, Usage: "draw among the most likely tokens that together have probability `P`; 1 is all"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`SEED` of the draws"},
			&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "`TYPE` of the weights while decoding: f32, or bf16, a copy of half the size that matrix products read"},
			weightsFlag(),
			threadsFlag(),
		},
		Action: func(c *cli.Context) error {
			weights, err := weightsOf(c)
			if err != nil {
				return err
			}
			o := GenerateOptions{
				Weights: weights,
				DType:   strings.ToLower(c.String("dtype")),
				Model:   c.String("model"), Prompt: c.String("prompt"), Tokens: c.Int("tokens"), Threads: c.Int("threads"),
				Sampler: infer.SamplerConfig{Temperature: c.Float64("temperature"), TopK: c.Int("top-k"), TopP: c.Float64("top-p"), Seed: c.Uint64("seed")},
			}
			if !c.IsSet("prompt") {
				text, err := io.ReadAll(io.LimitReader(c.App.Reader, 16<<20))
				if err != nil {
					return err
				}
				o.Prompt = string(text)
			}
			return RunGenerate(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// RunGenerate writes the prompt and its continuation to out as it comes, and
// the rate to log.
func RunGenerate(ctx context.Context, o GenerateOptions, out, log io.Writer) error {
	s, err := infer.NewSampler(o.Sampler)
	if err != nil {
		return fault.Usage(err)
	}
	if o.Tokens < 1 || o.Threads < 0 {
		return fault.Usage(fmt.Errorf("--tokens is %d and --threads %d, expected at least 1 and 0", o.Tokens, o.Threads))
	}
	if o.DType != "f32" && o.DType != "bf16" {
		return fault.Usage(fmt.Errorf("--dtype is %q, expected f32 or bf16", o.DType))
	}
	b, err := openBundle(o.Model, bundle.Options{Weights: o.Weights}, log)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Text(); err != nil {
		return err
	}
	prompt, err := b.Opening(o.Prompt)
	if err != nil {
		return err
	}
	if len(prompt) == 0 {
		if len(b.Ends) == 0 {
			return fault.Usage(errors.New("the prompt is empty; give --prompt TEXT"))
		}
		prompt = []int32{b.Ends[0]}
	}
	context := b.Model.Context()
	if room := context - len(prompt); room < 1 {
		return fault.Usage(fmt.Errorf("the prompt has %d tokens, the model's context is %d", len(prompt), context))
	} else if o.Tokens > room {
		fmt.Fprintf(log, "the model's context of %d leaves room for %d new tokens\n", context, room)
		o.Tokens = room
	}
	w := bufio.NewWriter(out)
	fmt.Fprint(w, o.Prompt)
	stream := tokenizer.NewStream(b.Tokenizer)
	start := time.Now()
	how := infer.GenerateOptions{Tokens: o.Tokens, Ends: b.Ends, Never: b.Unused(), BF16: o.DType == "bf16", Threads: o.Threads}
	ids, err := infer.Generate(ctx, b.Model, b.Set, prompt, s, how, func(id int32) error {
		text, err := stream.Next(id)
		if err == nil {
			_, err = fmt.Fprint(w, text)
		}
		return errors.Join(err, w.Flush())
	})
	fmt.Fprintln(w, stream.Flush())
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%d tokens in %.2f s\n", len(ids), time.Since(start).Seconds())
	return nil
}
