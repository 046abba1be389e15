package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/serve"
)

func generateCommand() *cli.Command {
	return &cli.Command{
		Name:  "generate",
		Usage: "continue a text with a model",
		Description: "The prompt is encoded as the tokenizer's post_processor says: a LLaMA tokenizer prepends a BOS\n" +
			"token, GPT-2's adds nothing. An empty prompt is the BOS token, or else the EOS token. Generation stops\n" +
			"at any of the model's EOS tokens (eos_token_id).",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Required: true, Usage: "model or run `DIR`, or a .gguf file"},
			&cli.StringFlag{Name: "prompt", Usage: "`TEXT` to continue; default standard input"},
			&cli.IntFlag{Name: "tokens", Value: 100, Usage: "most new tokens, `N`"},
			&cli.Float64Flag{Name: "temperature", Value: 0.8, Usage: "logits are divided by `X`; 0 takes the most likely token"},
			&cli.IntFlag{Name: "top-k", Usage: "sample from the `K` most likely tokens; 0 is all"},
			&cli.Float64Flag{Name: "top-p", Value: 0.95, Usage: "sample from the most likely tokens that together have probability `P`; 1 is all"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`SEED` of sampling"},
			&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "`TYPE` of the weights while decoding: f32, or bf16 (a copy of half the size)"},
			weightsFlag(),
			threadsFlag(),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			weights, err := weightsOf(c)
			if err != nil {
				return err
			}
			dtype := strings.ToLower(c.String("dtype"))
			o := serve.Continuation{
				Model: c.String("model"), Open: bundle.Options{Weights: weights}, Prompt: c.String("prompt"), Tokens: c.Int("tokens"), Threads: c.Int("threads"), BF16: dtype == "bf16",
				Sampler: infer.SamplerConfig{Temperature: c.Float64("temperature"), TopK: c.Int("top-k"), TopP: c.Float64("top-p"), Seed: c.Uint64("seed")},
			}
			if o.Tokens < 1 || o.Threads < 0 {
				return fault.Usage(fmt.Errorf("--tokens is %d and --threads %d, expected at least 1 and 0", o.Tokens, o.Threads))
			}
			if dtype != "f32" && !o.BF16 {
				return fault.Usage(fmt.Errorf("--dtype is %q, expected f32 or bf16", dtype))
			}
			if !c.IsSet("prompt") {
				text, err := io.ReadAll(io.LimitReader(c.App.Reader, 16<<20))
				if err != nil {
					return err
				}
				o.Prompt = string(text)
			}
			out := c.App.Writer
			if c.Bool("json") {
				out = io.Discard
			}
			r, err := o.Write(c.Context, out, c.App.ErrWriter)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, r)
			}
			_, err = fmt.Fprintf(c.App.ErrWriter, "%d tokens in %.2f s\n", r.Tokens, r.Seconds)
			return err
		},
	}
}
