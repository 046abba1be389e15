package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/prune"
	"github.com/ecospa/ecospa/pkg/train"
)

func measured() Options {
	return Options{Model: "llama-60m", Batch: 4, Seq: 256, Steps: 3, Of: "all", Moments: "f32"}
}

// BenchmarkMemory is a training step at each level of recomputation: its time, and in
// MiB what is planned for it, its activations, and what the process holds.
func BenchmarkMemory(b *testing.B) {
	for level := graph.KeepAll; level <= graph.RecomputeLayer; level++ {
		b.Run(level.String(), func(b *testing.B) {
			o := measured()
			o.Recompute, o.Steps = level, b.N
			m, set, err := o.Build()
			if err != nil {
				b.Fatal(err)
			}
			defer set.Weights.Close()
			pool := kernel.NewPool(0)
			defer pool.Close()
			l, err := o.Loop(m, set, pool)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			l.Attach(train.Hook{Name: "bench", Step: func(l *train.Loop) error {
				if l.Step == 1 {
					b.ResetTimer()
				}
				return nil
			}})
			if err := l.Run(context.Background()); err != nil {
				b.Fatal(err)
			}
			plan := l.Memory()
			now, _ := sysmem.Resident()
			for name, v := range map[string]int64{"planned-MiB": plan.Total(), "activations-MiB": plan.Activations, "in-gradients-MiB": plan.InGradients, "resident-MiB": now} {
				b.ReportMetric(float64(v>>20), name)
			}
		})
	}
}

// BenchmarkEvidence is pairs of training steps on the same weights, one without
// evidence and one that gathers it: the median of what evidence costs, in percent.
func BenchmarkEvidence(b *testing.B) {
	o := measured()
	m, set, err := o.Build()
	if err != nil {
		b.Fatal(err)
	}
	defer set.Weights.Close()
	pool := kernel.NewPool(0)
	defer pool.Close()
	var loops [2]*train.Loop
	for i := range loops {
		o.Evidence = i == 1
		if loops[i], err = o.Loop(m, set, pool); err != nil {
			b.Fatal(err)
		}
		defer loops[i].Close()
	}
	step := func(i int) float64 {
		l := loops[i]
		l.Steps = l.Step + 1
		if err := l.Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		return l.Last.Ms
	}
	step(0) // the first of each touches memory
	step(1)
	var ratio []float64
	for b.Loop() {
		first := len(ratio) % 2 // the order alternates
		ms := [2]float64{}
		ms[first] = step(first)
		ms[1-first] = step(1 - first)
		ratio = append(ratio, ms[1]/ms[0])
	}
	b.ReportMetric(100*(units.Median(ratio)-1), "cost-%")
}

// BenchmarkCalibrate is what calibration costs beside plain forward and backward passes
// over the same sequences, right before: gathering gates, everything that the full
// recipe gathers, and the trial cuts of the allocation sensitivity. Resident memory
// must not depend on the number of sequences.
func BenchmarkCalibrate(b *testing.B) {
	o := measured()
	const n = 256
	for _, c := range []struct {
		name, allocation string
		sequences        int
		full             bool
	}{
		{"gates", "global", n / 4, false}, {"gates", "global", n, false},
		{"recipe", "global", n / 4, true}, {"recipe", "global", n, true}, {"recipe-sensitivity", "sensitivity", n / 4, true},
	} {
		b.Run(fmt.Sprintf("%s/sequences=%d", c.name, c.sequences), func(b *testing.B) {
			m, set, err := o.Build()
			if err != nil {
				b.Fatal(err)
			}
			defer set.Weights.Close()
			pool := kernel.NewPool(0)
			defer pool.Close()
			s := prune.Sequences{Context: o.Seq, Batch: NewNoise(m, c.sequences, o.Seq).Batch()}
			var ratio []float64
			for b.Loop() {
				start := time.Now()
				passes(b, m, set, pool, s, o.Batch)
				plain := time.Since(start)
				start = time.Now()
				plan(b, prune.Calibration{Model: m, Set: set, Pool: pool, Data: s, Batch: o.Batch}, c.allocation, c.full)
				ratio = append(ratio, time.Since(start).Seconds()/plain.Seconds())
			}
			now, _ := sysmem.Resident()
			b.ReportMetric(units.Median(ratio), "of-plain")
			b.ReportMetric(float64(now>>20), "resident-MiB")
		})
	}
}

// plan makes a plan for half of the prunable parameters.
func plan(b *testing.B, c prune.Calibration, allocation string, full bool) {
	k := coupled.DefaultConfig()
	k.Target, k.Of, k.Allocation = "0.5x", "prunable", allocation
	improve := k.Improve
	if full {
		k.QKOrder, improve = coupled.OrderAttention, coupled.DefaultImprove()
	}
	p := prune.Job{Calibration: c, Config: k, Improve: improve, Trial: prune.DefaultTrial}
	p.DryRun = true
	res, err := p.Run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	res.Close()
}

// passes runs the sequences forward and backward, batch at a time, without an update.
func passes(b *testing.B, m model.Model, set *param.Set, pool *kernel.Pool, s prune.Sequences, batch int) {
	grads := set.NewSlab()
	defer grads.Close()
	g := graph.NewBuilder(set, graph.BuildOptions{Train: true})
	m.Loss(g, batch, s.Context, 0)
	machine, err := g.Lower(graph.LowerOptions{Pool: pool, Grads: grads, InGradients: true})
	if err != nil {
		b.Fatal(err)
	}
	defer machine.Close()
	for lo := 0; lo+batch <= s.N; lo += batch {
		part := s.Slice(lo, lo+batch)
		if err := part.Feed(machine, 1/float32(part.Predicted())); err != nil {
			b.Fatal(err)
		}
		if err := machine.RunFresh(); err != nil {
			b.Fatal(err)
		}
	}
}
