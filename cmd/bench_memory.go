package cmd

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/train"
)

// MemoryRow is one level of recomputation.
type MemoryRow struct {
	Recompute string       `json:"recompute"`
	Planned   train.Memory `json:"planned"`  // bytes by purpose
	Total     int64        `json:"total"`    // bytes planned
	Resident  int64        `json:"resident"` // bytes held after a step, the whole process
	Ms        float64      `json:"ms"`       // median of a step
}

// MemoryResult is what bench memory prints with --json.
type MemoryResult struct {
	Model  string      `json:"model"`
	Params int         `json:"params"`
	Batch  int         `json:"batch"`
	Seq    int         `json:"seq"`
	Rows   []MemoryRow `json:"rows"`
}

func benchMemoryCommand() *cli.Command {
	return &cli.Command{
		Name:  "memory",
		Usage: "planned bytes of a training step by purpose beside what is resident, by level of recomputation",
		Flags: append(sizeFlags(), &cli.StringSliceFlag{Name: "recompute", Value: cli.NewStringSlice("none", "light", "attention", "layer"), Usage: "`LEVELS` to compare"}),
		Action: func(c *cli.Context) error {
			o, err := benchFlags(c)
			if err != nil {
				return err
			}
			var levels []graph.Recompute
			for _, name := range c.StringSlice("recompute") {
				level, err := graph.ParseRecompute(name)
				if err != nil {
					return fault.Usage(err)
				}
				levels = append(levels, level)
			}
			return RunBenchMemory(o, levels, c.App.Writer)
		},
	}
}

// RunBenchMemory trains a few steps at each of the levels of recomputation.
func RunBenchMemory(o BenchOptions, levels []graph.Recompute, out io.Writer) error {
	r := MemoryResult{Model: o.Model, Batch: o.Batch, Seq: o.Seq}
	for _, level := range levels {
		row, params, err := o.memory(level)
		if err != nil {
			return err
		}
		r.Params, r.Rows = params, append(r.Rows, row)
	}
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s, %d parameters, batch %d x %d; MiB\n\n", r.Model, r.Params, r.Batch, r.Seq)
	t := newTable("recompute", "weights", "gradients", "moments", "activations", "in gradients", "planned", "resident", "ms")
	for _, m := range r.Rows {
		p := m.Planned
		t.add(m.Recompute, p.Weights>>20, p.Gradients>>20, p.Moments>>20, p.Activations>>20, p.Lent>>20, m.Total>>20, m.Resident>>20, fmt.Sprintf("%.1f", m.Ms))
	}
	t.print(out)
	return nil
}

// memory is the row of one level, and the parameters.
func (o BenchOptions) memory(level graph.Recompute) (MemoryRow, int, error) {
	row := MemoryRow{Recompute: level.String()}
	m, set, err := o.build()
	if err != nil {
		return row, 0, err
	}
	defer set.Weights.Close()
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	c := train.Default()
	c.Steps, c.Batch, c.MicroBatch, c.Context, c.Recompute = o.Steps+1, o.Batch, o.Batch, o.Seq, level.String()
	if o.BF16 {
		c.Precision = "bf16"
	}
	oc := optim.Default()
	oc.LR, oc.WarmUp = 1e-4, 0
	l := train.NewLoop(c, oc.Resolve(c.Steps), m, set, pool, newNoise(m, o.Batch, o.Seq))
	defer l.Close()
	if err := l.Lower(); err != nil {
		return row, 0, err
	}
	var ms []float64
	l.Attach(train.Hook{Name: "bench", Step: func(l *train.Loop) error {
		if l.Step > 1 {
			ms = append(ms, l.Last.Ms)
		}
		row.Resident, _ = sysmem.Resident()
		return nil
	}})
	if err := l.Run(benchContext); err != nil {
		return row, 0, err
	}
	row.Planned, row.Ms = l.Memory(), units.Median(ms)
	row.Total = row.Planned.Total()
	return row, set.Count(), nil
}
