package cmd

import (
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
)

// CalibrateRow is one thing that is done with the sequences.
type CalibrateRow struct {
	What      string  `json:"what"`
	Sequences int     `json:"sequences"`
	Plain     float64 `json:"plain"` // seconds of forward and backward passes over the same sequences, right before
	Seconds   float64 `json:"seconds"`
	Ratio     float64 `json:"ratio"`    // of both
	Resident  int64   `json:"resident"` // bytes held by the process behind it
}

// CalibrateResult is what bench calibrate prints with --json.
type CalibrateResult struct {
	Model  string         `json:"model"`
	Params int            `json:"params"`
	Batch  int            `json:"batch"`
	Seq    int            `json:"seq"`
	Trials int            `json:"trials"` // cuts that sensitivity tried
	Rows   []CalibrateRow `json:"rows"`
}

func benchCalibrateCommand() *cli.Command {
	return &cli.Command{
		Name:  "calibrate",
		Usage: "what calibration costs beside plain forward and backward passes over the same sequences",
		Description: "Times, in one process and on random tokens: the passes gathering gates (the criterion fisher), everything that\n" +
			"the full recipe gathers, and the trial cuts by which the allocation sensitivity decides, each behind plain\n" +
			"passes over the same sequences. Gathering is also done on a quarter of the sequences: what is resident\n" +
			"behind it must not depend on their number.",
		Flags: append(sizeFlags(),
			&cli.IntFlag{Name: "sequences", Value: 256, Usage: "calibration sequences, `N`"},
			&cli.IntFlag{Name: "trial-sequences", Value: prune.DefaultTrial, Usage: "sequences on which trial cuts are measured, `N`"}),
		Action: func(c *cli.Context) error {
			o, err := benchFlags(c)
			if err != nil {
				return err
			}
			if c.Int("sequences") < 8 || c.Int("trial-sequences") < 1 || o.BF16 {
				return fault.Usage(fmt.Errorf("--sequences is expected to be at least 8, --trial-sequences at least 1, --dtype f32"))
			}
			return interruptible(c, func() error {
				return RunBenchCalibrate(o, c.Int("sequences"), c.Int("trial-sequences"), c.App.Writer)
			})
		},
	}
}

// RunBenchCalibrate times calibration on n sequences of random tokens.
func RunBenchCalibrate(o BenchOptions, n, trial int, out io.Writer) error {
	m, set, err := o.build()
	if err != nil {
		return err
	}
	pool := kernel.NewPool(o.Threads)
	defer pool.Close()
	r := &CalibrateResult{Model: o.Model, Params: set.Count(), Batch: o.Batch, Seq: o.Seq}
	text := prune.Sequences{Context: o.Seq, Batch: newNoise(m, n, o.Seq).next()}
	front := prune.Sequences{Context: o.Seq, Batch: text.Slice(0, n/4)}
	// Every row comes right behind plain passes over the same sequences: what else
	// the machine does is then about the same for both.
	measure := func(what string, s prune.Sequences, f func() error) error {
		seconds := [2]float64{}
		for i, g := range []func() error{func() error { return plainPasses(m, set, pool, s, o.Batch) }, f} {
			start := time.Now()
			if err := g(); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			seconds[i] = time.Since(start).Seconds()
		}
		row := CalibrateRow{What: what, Sequences: s.Len(), Plain: seconds[0], Seconds: seconds[1], Ratio: seconds[1] / seconds[0]}
		row.Resident, _ = sysmem.Resident()
		r.Rows = append(r.Rows, row)
		return nil
	}
	// recipe makes a plan for half of the prunable parameters.
	recipe := func(s prune.Sequences, allocation string, full bool) error {
		k := coupled.DefaultConfig()
		k.Target, k.Of, k.Allocation = "0.5x", "prunable", allocation
		improve := k.Improve
		if full {
			k.QKOrder, improve = coupled.OrderAttention, coupled.DefaultImprove()
		}
		p := prune.Pruner{
			Calibration: prune.Calibration{Model: m, Set: set, Pool: pool, Data: s, Batch: o.Batch},
			Config:      k, Improve: improve, Trial: trial,
		}
		res, err := p.Plan()
		if err == nil {
			r.Trials = res.Trials
			res.Evidence.Close()
		}
		return err
	}
	for _, row := range []struct {
		what, allocation string
		s                prune.Sequences
		full             bool
	}{
		{"gates, a quarter", "global", front, false},
		{"gates", "global", text, false},
		{"full recipe, a quarter", "global", front, true},
		{"full recipe", "global", text, true},
		{"full recipe and sensitivity, a quarter", "sensitivity", front, true},
	} {
		if err := measure(row.what, row.s, func() error { return recipe(row.s, row.allocation, row.full) }); err != nil {
			return err
		}
	}
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s, %d parameters, batch %d x %d; sensitivity tries %d cuts on %d sequences\n\n", r.Model, r.Params, r.Batch, r.Seq, r.Trials, trial)
	t := newTable("what", "sequences", "plain s", "seconds", "ratio", "resident MiB")
	for _, x := range r.Rows {
		t.add(x.What, x.Sequences, fmt.Sprintf("%.2f", x.Plain), fmt.Sprintf("%.2f", x.Seconds), fmt.Sprintf("%.3f", x.Ratio), x.Resident>>20)
	}
	t.print(out)
	return nil
}

// plainPasses runs the sequences forward and backward, batch at a time, without an update.
func plainPasses(m model.Model, set *param.Set, pool *kernel.Pool, s prune.Sequences, batch int) error {
	grads := set.NewSlab()
	defer grads.Close()
	b := graph.NewBuilder(set, graph.BuildOptions{Train: true})
	m.Loss(b, batch, s.Context, 0)
	machine, err := b.Lower(graph.LowerOptions{Pool: pool, Grads: grads, Lend: true})
	if err != nil {
		return err
	}
	defer machine.Close()
	for lo := 0; lo+batch <= s.N; lo += batch {
		part := s.Slice(lo, lo+batch)
		if err := part.Feed(machine, 1/float32(part.Predicted())); err != nil {
			return err
		}
		if err := machine.RunFresh(); err != nil {
			return err
		}
	}
	return nil
}
