package cmd

import (
	"context"
	"encoding/json"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
)

// benchContext: a benchmark is short and is stopped by ending the process.
var benchContext = context.Background()

func benchInferCommand() *cli.Command {
	return &cli.Command{
		Name:  "infer",
		Usage: "time forward passes: all logits, prefill or decoding",
		Flags: append(sizeFlags(),
			&cli.BoolFlag{Name: "last", Usage: "prefill: the logits of each sequence's last token only"},
			&cli.BoolFlag{Name: "decode", Usage: "one token at a time behind T tokens of each sequence"}),
		Action: func(c *cli.Context) error {
			o, err := benchFlags(c)
			if err != nil {
				return err
			}
			o.Last, o.Decode = c.Bool("last"), c.Bool("decode")
			return RunBenchInfer(o, c.App.Writer)
		},
	}
}

// RunBenchInfer times forward passes on random tokens.
func RunBenchInfer(o BenchOptions, out io.Writer) error {
	if o.Decode {
		return runBenchDecode(o, out)
	}
	m, set, err := o.build()
	if err != nil {
		return err
	}
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	b := graph.NewBuilder(set, graph.BuildOptions{BF16: o.BF16})
	m.Decode(b, nil, o.Batch, o.Seq, !o.Last)
	mc, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		return err
	}
	defer mc.Close()
	ids, _, _ := newNoise(o.Batch*o.Seq, m.Vocab()).Next()
	if err := mc.SetInts("ids", ids); err != nil {
		return err
	}
	ms, err := timed(o.Steps, mc.RunAll)
	if err != nil {
		return err
	}
	mode := "infer"
	if o.Last {
		mode = "prefill"
	}
	return o.result(mode, set, pool, ms, float64(mc.Plan().FLOPs())).print(o, out)
}

// runBenchDecode times single tokens behind a prefix.
func runBenchDecode(o BenchOptions, out io.Writer) error {
	prefix, steps := o.Seq, o.Steps
	o.Seq += steps + 1
	m, set, err := o.build()
	if err != nil {
		return err
	}
	o.Seq = prefix
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	s, err := infer.NewSession(m, set, pool, infer.SessionOptions{Batch: o.Batch, Capacity: prefix + steps + 1, BF16: o.BF16})
	if err != nil {
		return err
	}
	defer s.Close()
	ids, _, _ := newNoise(o.Batch*prefix, m.Vocab()).Next()
	if _, err := s.Feed(ids); err != nil {
		return err
	}
	ms, err := timed(steps, func() error { _, err := s.Feed(ids[:o.Batch]); return err })
	if err != nil {
		return err
	}
	return o.result("decode", set, pool, ms, float64(s.FLOPs())).print(o, out)
}

// printLine prints v as one line of JSON.
func printLine(out io.Writer, v any) error {
	return json.NewEncoder(out).Encode(v)
}
