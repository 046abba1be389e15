package cmd

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/serve"
)

func chatCommand() *cli.Command {
	return &cli.Command{
		Name:  "chat",
		Usage: "talk to a model in its own chat template",
		Description: "Each line of standard input is a message; the reply is printed as it is generated. /reset starts a new chat,\n" +
			"/save FILE writes the chat as a record that finetune reads, /exit or the end of the input quits. Ctrl-C stops a reply.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Required: true, Usage: "model or run `DIR`, or a .gguf file"},
			&cli.StringFlag{Name: "system", Usage: "system message `TEXT`"},
			&cli.StringFlag{Name: "chat-template", Usage: "`NAME` of a chat template instead of the model's own: alpaca, chatml, plain or zephyr"},
			&cli.IntFlag{Name: "tokens", Value: 512, Usage: "most new tokens per reply, `N`"},
			&cli.Float64Flag{Name: "temperature", Value: 0.8, Usage: "logits are divided by `X`; 0 takes the most likely token"},
			&cli.Float64Flag{Name: "top-p", Value: 0.95, Usage: "sample from the most likely tokens that together have probability `P`; 1 is all"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`SEED` of sampling"},
			threadsFlag(),
		},
		Action: func(c *cli.Context) error {
			o := serve.TalkOptions{
				Model: c.String("model"), Template: c.String("chat-template"), System: c.String("system"), Tokens: c.Int("tokens"), Threads: c.Int("threads"),
				Sampler: infer.SamplerConfig{Temperature: c.Float64("temperature"), TopP: c.Float64("top-p"), Seed: c.Uint64("seed")},
			}
			// An interrupt cancels c.Context, and here it ends a reply and not the chat.
			return serve.Talk(context.WithoutCancel(c.Context), o, c.App.Reader, c.App.Writer, c.App.ErrWriter)
		},
	}
}
