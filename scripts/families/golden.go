package main

import (
	"math"
	"os"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/data"
	"github.com/ecospa/ecospa/pkg/export"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
)

// pytorch is how far a golden model is from what PyTorch computed of it: logits relative to
// the largest, and the losses of ten AdamW steps in nats.
func pytorch(dir string) (logits, steps float64, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, 0, err
	}
	defer root.Close()
	m, set, err := model.Read(root)
	if err != nil {
		return 0, 0, err
	}
	defer set.Close()
	want, err := checkpoint.ReadTensors(root, "golden.safetensors")
	if err != nil {
		return 0, 0, err
	}
	ints := func(name string) (out []int32) {
		for _, f := range want[name] {
			out = append(out, int32(f))
		}
		return out
	}
	batch := data.Batch{N: 2, IDs: ints("ids"), Targets: ints("targets")}
	tokens := len(batch.IDs) / 2
	probe := export.Probe{IDs: batch.IDs, Shape: []int{2, tokens}}
	if c, ok := m.(model.Classifier); ok {
		batch.IDs, batch.Pixels, tokens = nil, want["pixels"], m.Context()
		i := c.Image()
		probe = export.Probe{Pixels: want["pixels"], Shape: []int{2, i.Channels, i.Side, i.Side}}
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	got, err := export.Logits(m, set, pool, probe)
	if err != nil {
		return 0, 0, err
	}
	d, err := export.Compare(got, want["logits"], probe.Rows())
	if err != nil {
		return 0, 0, err
	}
	b := graph.NewBuilder(set, graph.BuildOptions{Train: true})
	m.Loss(b, 2, tokens, 0)
	steps, err = losses(b, pool, batch, want["steps"])
	return d.Relative, steps, err
}

// losses is the largest difference between the losses of AdamW's steps on a batch and others.
func losses(b *graph.Builder, pool *kernel.Pool, batch data.Batch, want []float32) (most float64, err error) {
	set := b.Set()
	grads := set.NewSlab()
	defer grads.Close()
	mc, err := b.Lower(graph.LowerOptions{Pool: pool, Grads: grads})
	if err != nil {
		return 0, err
	}
	defer mc.Close()
	o := optim.Default()
	o.LR, o.Clip = 1e-2, 1
	opt := optim.New(set, o)
	defer optim.Close(opt)
	for _, w := range want {
		if err := batch.Feed(mc, 1/float32(len(batch.Targets))); err != nil {
			return 0, err
		}
		if err := mc.RunAll(); err != nil {
			return 0, err
		}
		most = math.Max(most, math.Abs(float64(mc.Output("loss")[0]-w)))
		opt.Update(optim.Step{Pool: pool, Set: set, Grads: grads, LR: o.LR, Norm: optim.GradNorm(pool, grads)})
	}
	return most, nil
}

// lastLine is the last line of a command's output that says something.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
