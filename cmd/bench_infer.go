package cmd

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/fault"
)

// InferModes is what bench infer --all-modes prints with --json.
type InferModes struct {
	Rows []bench.Result `json:"rows"` // prefill, decode, batch decode
}

func benchInferCommand() *cli.Command {
	return &cli.Command{
		Name:  "infer",
		Usage: "time forward passes: all logits, prefill or decoding",
		Flags: append(sizeFlags(),
			&cli.BoolFlag{Name: "last", Usage: "prefill: only the logits of each sequence's last token"},
			&cli.BoolFlag{Name: "decode", Usage: "one token at a time after T tokens of each sequence"},
			&cli.BoolFlag{Name: "all-modes", Usage: "prefill of 1 x 1024 tokens, decoding of one sequence and of 16 at once, in one run; --batch and --seq are ignored"}),
		Action: func(c *cli.Context) error {
			o, err := benchFlags(c)
			if err != nil {
				return err
			}
			o.Last, o.Decode = c.Bool("last"), c.Bool("decode")
			rows := []bench.Result{{}}
			if all := c.Bool("all-modes"); all && (o.Last || o.Decode || c.IsSet("batch") || c.IsSet("seq")) {
				return fault.Usage(errors.New("--all-modes cannot be combined with --last, --decode, --batch or --seq"))
			} else if all {
				rows, err = o.Modes()
			} else {
				rows[0], err = o.Infer()
			}
			if err != nil {
				return benchError(err)
			}
			if c.Bool("all-modes") && c.Bool("json") {
				return printJSON(c.App.Writer, InferModes{rows})
			}
			for _, r := range rows {
				if err := printBench(c.App.Writer, r, c.Bool("json")); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
