package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// benchContext: a benchmark is short and is stopped by ending the process.
var benchContext = context.Background()

func benchInferCommand() *cli.Command {
	return &cli.Command{
		Name:  "infer",
		Usage: "time forward passes: all logits, prefill or decoding",
		Flags: append(sizeFlags(),
			&cli.BoolFlag{Name: "last", Usage: "prefill: the logits of each sequence's last token only"},
			&cli.BoolFlag{Name: "decode", Usage: "one token at a time behind T tokens of each sequence"},
			&cli.BoolFlag{Name: "all-modes", Usage: "prefill of 1 x 1024 tokens, decoding of one sequence and of 16 at once, in one run; --batch and --seq do not count"}),
		Action: func(c *cli.Context) error {
			o, err := benchFlags(c)
			if err != nil {
				return err
			}
			o.Last, o.Decode = c.Bool("last"), c.Bool("decode")
			if c.Bool("all-modes") {
				if o.Last || o.Decode || c.IsSet("batch") || c.IsSet("seq") {
					return fault.Usage(errors.New("--all-modes goes without --last, --decode, --batch and --seq"))
				}
				return RunBenchModes(o, c.App.Writer)
			}
			return RunBenchInfer(o, c.App.Writer)
		},
	}
}

// InferModes is what bench infer --all-modes prints with --json.
type InferModes struct {
	Rows []BenchResult `json:"rows"` // prefill, decode, batch decode
}

// RunBenchModes times prefill and decoding.
func RunBenchModes(o BenchOptions, out io.Writer) error {
	rows, err := o.modes()
	if err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, InferModes{rows})
	}
	for _, row := range rows {
		if err := row.print(o, out); err != nil {
			return err
		}
	}
	return nil
}

// modes times prefill of 1 x 1024 tokens, decoding of one sequence, and of 16 at once.
func (o BenchOptions) modes() (rows []BenchResult, err error) {
	for _, mode := range []struct {
		decode     bool
		batch, seq int
		steps      int
	}{{false, 1, 1024, o.Steps}, {true, 1, 64, 8 * o.Steps}, {true, 16, 64, 4 * o.Steps}} {
		one := o
		one.Decode, one.Last, one.Batch, one.Seq, one.Steps = mode.decode, !mode.decode, mode.batch, mode.seq, mode.steps
		row, err := one.infer()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// RunBenchInfer times forward passes on random tokens.
func RunBenchInfer(o BenchOptions, out io.Writer) error {
	r, err := o.infer()
	if err != nil {
		return err
	}
	return r.print(o, out)
}

func (o BenchOptions) infer() (r BenchResult, err error) {
	steps := o.Steps
	room := o
	if o.Decode {
		room.Seq += steps + 1
	}
	m, set, err := room.build()
	if err != nil {
		return r, err
	}
	defer set.Weights.Close()
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	o.before = o.peak(pool)
	if o.Decode {
		return o.decode(m, set, pool)
	}
	b := graph.NewBuilder(set, graph.BuildOptions{BF16: o.BF16})
	m.Decode(b, nil, o.Batch, o.Seq, !o.Last)
	half, free := o.halves(set)
	defer free()
	mc, err := b.Lower(graph.LowerOptions{Pool: pool, Half: half})
	if err != nil {
		return r, err
	}
	defer mc.Close()
	if err := newNoise(m, o.Batch, o.Seq).next().FeedInputs(mc); err != nil {
		return r, err
	}
	ms, heap, err := timedHeap(steps, mc.RunAll)
	if err != nil {
		return r, err
	}
	mode := "infer"
	if o.Last {
		mode = "prefill"
	}
	r = o.result(mode, set, pool, ms, float64(mc.Plan().FLOPs()))
	r.HeapStep, r.Planned = heap, (4*int64(set.Len())+2*int64(len(half))+mc.Plan().ArenaBytes())>>20
	return r, nil
}

// halves is the weights as bfloat16 where the benchmark is of that type.
func (o BenchOptions) halves(set *param.Set) (half []uint16, free func()) {
	if !o.BF16 {
		return nil, func() {}
	}
	s := param.NewSlab((set.Len() + 1) / 2)
	half = s.Halves()[:set.Len()]
	kernel.ToBF16(half, set.Weights.Data)
	return half, s.Close
}

// decode times single tokens behind a prefix.
func (o BenchOptions) decode(m model.Model, set *param.Set, pool *kernel.Pool) (r BenchResult, err error) {
	s, err := infer.NewSession(m, set, pool, infer.SessionOptions{Batch: o.Batch, Capacity: o.Seq + o.Steps + 1, BF16: o.BF16})
	if err != nil {
		return r, err
	}
	defer s.Close()
	ids := newNoise(m, o.Batch, o.Seq).next().IDs
	if _, err := s.Feed(ids); err != nil {
		return r, err
	}
	ms, heap, err := timedHeap(o.Steps, func() error { _, err := s.Feed(ids[:o.Batch]); return err })
	if err != nil {
		return r, err
	}
	r = o.result("decode", set, pool, ms, float64(s.FLOPs()))
	r.HeapStep, r.Planned = heap, (4*int64(set.Len())+s.Bytes())>>20
	r.ReadGBs = kernel.ReadBandwidth(pool) / 1e9
	r.ReadShare = o.reads(m, set) / (ms / 1e3) / 1e9 / r.ReadGBs
	return r, nil
}

// reads is the bytes that a step of decoding reads at least: every weight of a
// product once, and the keys and values of half the steps' tokens.
func (o BenchOptions) reads(m model.Model, set *param.Set) float64 {
	n := float64(set.Count())
	if set.Param("head") != nil { // else the head reads the embedding
		n -= float64(set.Param("embed").Size())
	}
	if p := set.Param("positions"); p != nil {
		n -= float64(p.Size())
	}
	bytes := 4 * n
	if o.BF16 {
		bytes = 2 * n
	}
	for _, w := range m.Cache(set) {
		bytes += 4 * float64(o.Batch*(o.Seq+o.Steps/2)*(w[0]+w[1]))
	}
	return bytes
}

// printLine prints v as one line of JSON.
func printLine(out io.Writer, v any) error {
	return json.NewEncoder(out).Encode(v)
}
