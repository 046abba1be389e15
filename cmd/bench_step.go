package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/bench"
	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/train"
)

func benchStepCommand() *cli.Command {
	return &cli.Command{
		Name:  "step",
		Usage: "time whole optimizer steps: forward, backward, clipping, update",
		Flags: append(sizeFlags(),
			&cli.StringFlag{Name: "moments", Value: "f32", Usage: "`TYPE` of AdamW's moments: f32 or bf16"},
			&cli.StringFlag{Name: "wire", Value: train.WireF32, Usage: "with several ranks: `TYPE` of the exchanged gradients, f32 or bf16"},
			&cli.BoolFlag{Name: "shard-optimizer", Usage: "with several ranks: each keeps only its part of the moments"},
			&cli.BoolFlag{Name: "versus-dense", Usage: "time the dense model first, in the same run, and give the ratios of memory and time"},
			&cli.StringSliceFlag{Name: "set", Usage: "further keys of a run file's train and optim, `KEY.PATH=VALUE`; may be repeated"},
			&cli.BoolFlag{Name: "evidence", Usage: "also gather the gate gradients that pruning uses"},
			&cli.StringFlag{Name: "recompute", Value: "none", Usage: "recompute activations in the backward pass, `LEVEL`: none, light, attention or layer"}),
		Action: func(c *cli.Context) error {
			o, err := benchFlags(c)
			if err != nil {
				return err
			}
			if o.Moments = c.String("moments"); o.Moments != "f32" && o.Moments != "bf16" {
				return fault.Usage(fmt.Errorf("--moments is %q, expected f32 or bf16", o.Moments))
			}
			if o.Recompute, err = graph.ParseRecompute(c.String("recompute")); err != nil {
				return fault.Usage(err)
			}
			g := ranksOf(c)
			o.Set, o.Evidence, o.Group, o.Wire, o.Shard, o.Threads = c.StringSlice("set"), c.Bool("evidence"), g.Group, c.String("wire"), c.Bool("shard-optimizer"), g.Threads(o.Threads)
			if err := checkBenchRanks(c, o); err != nil {
				return fault.Usage(err)
			}
			return runBenchStep(c, o)
		},
	}
}

// checkBenchRanks refuses what does not go with the number of ranks.
func checkBenchRanks(c *cli.Context, o bench.Options) error {
	switch n := o.Group.Size(); {
	case o.Wire != train.WireF32 && o.Wire != train.WireBF16:
		return fmt.Errorf("--wire is %q, expected f32 or bf16", o.Wire)
	case n == 1 && (c.IsSet("wire") || o.Shard):
		return errors.New("--wire and --shard-optimizer are about several ranks: start them with mpirun -np N ecospa bench step")
	case o.Shard && o.Wire == train.WireBF16:
		return errors.New("--wire bf16 cannot be combined with --shard-optimizer: its parts are summed in float32")
	case o.Batch%n != 0:
		return fmt.Errorf("--batch is %d, which %d ranks do not divide", o.Batch, n)
	}
	return nil
}

// runBenchStep times training steps on random tokens; with --versus-dense the dense
// model's first.
func runBenchStep(c *cli.Context, o bench.Options) error {
	out := c.App.Writer
	if !c.Bool("versus-dense") {
		r, err := o.Step(c.Context)
		if err != nil {
			return benchError(err)
		}
		return printBench(out, r, c.Bool("json"))
	}
	v, err := o.Versus(c.Context)
	if err != nil {
		return benchError(err)
	}
	return show(out, v, c.Bool("json"))
}

// printBench prints a result as text or, for the yardstick's scripts, as a line of JSON.
func printBench(out io.Writer, r bench.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := io.WriteString(out, r.String())
	return err
}
