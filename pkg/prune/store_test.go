package prune

import (
	"math"
	"os"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// wide is calibration data of few tokens for the feed-forward channels of a model.
func wide(t *testing.T, packed bool) Calibration {
	t.Helper()
	c := calibration(t, "llama", 8)
	m, err := model.New(model.Sizes{Family: "llama", Layers: 3, Width: 24, Heads: 4, KVHeads: 2, HeadDim: 6, FFN: 300, Vocab: 31, Context: 16})
	if err != nil {
		t.Fatal(err)
	}
	c.Model = m
	if c.Set, err = param.New(m.Specs()); err != nil {
		t.Fatal(err)
	}
	c.Set.Init(1)
	for i := range c.Set.Weights.Data {
		c.Set.Weights.Data[i] *= 6
	}
	c.Batch = 3 // 8 sequences are two batches and single ones
	for i := range c.Data.IDs {
		if !packed {
			break
		}
		at := i % 16 / 9 * 9
		c.Data.Starts, c.Data.Positions = append(c.Data.Starts, int32(at)), append(c.Data.Positions, int32(i%16-at))
		if i%16 == 15 { // padding
			c.Data.Starts[i], c.Data.Targets[i] = 16, -1
		}
	}
	return c
}

// TestRecordedActivations: what the pass that gathers evidence records saves the passes for
// second moments, and the model comes out as with those passes.
func TestRecordedActivations(t *testing.T) {
	for _, packed := range []bool{false, true} {
		var weights [2][]float32
		var work [2]int64
		var kept [2][]int
		for i := range weights {
			c := wide(t, packed)
			p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Promise: 2.5}
			p.Config.Target, p.Config.Of, p.Config.Allocation, p.Config.Seed = "0.6x", "prunable", "auto", 1
			if i == 1 {
				p.Scratch = t.TempDir()
			}
			gather, _, _ := p.split()
			if at, _, err := p.placeStore(gather); err != nil || at.rows != (i == 1) {
				t.Fatalf("recorded: %t (%v), expected %t", at.rows, err, i == 1)
			}
			r, err := p.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			weights[i] = slices.Clone(c.Set.Weights.Data)
			kept[i] = r.Plan().Decisions[2].Kept[0]
			for _, ph := range r.Phases {
				if ph.Name == PhaseTrials || ph.Name == PhaseRefit {
					work[i] += ph.FLOPs
				}
			}
			if i == 1 {
				if files, err := os.ReadDir(p.Scratch); err != nil || len(files) > 0 || p.store != nil {
					t.Errorf("%d files are left (%v)", len(files), err)
				}
			}
			r.Close()
		}
		if !slices.Equal(kept[0], kept[1]) || len(weights[0]) != len(weights[1]) {
			t.Fatalf("packed %t: other units are kept", packed)
		}
		for i, w := range weights[0] {
			if math.Abs(float64(w-weights[1][i])) > 1e-4*(1+math.Abs(float64(w))) {
				t.Fatalf("packed %t: weight %d is %g by passes, %g as recorded", packed, i, w, weights[1][i])
			}
		}
		if work[1] >= work[0] {
			t.Errorf("packed %t: %d operations after a recording, %d without", packed, work[1], work[0])
		}
	}
}

// TestPromiseAtEightBillion: a default pruning of Llama-3.1-8B's shape stays within 2.5 times the
// operations of plain passes with 4 and 16 calibration sequences; nothing is computed.
func TestPromiseAtEightBillion(t *testing.T) {
	memory, disk := available, freeSpace
	defer func() { available, freeSpace = memory, disk }()
	available = func() (int64, string, bool) { return 16 << 30, "a test", true }
	freeSpace = func(string) (int64, bool, error) { return 1 << 40, true, nil }
	m, err := model.New(model.Sizes{Name: "llama-3.1-8b", Context: 512})
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.Layout(m.Specs())
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	for n, tokens := range map[int]int{4: 512, 16: 2048} {
		data := Sequences{Context: 512}
		data.N, data.IDs, data.Targets = n, make([]int32, n*512), make([]int32, n*512)
		p := &Job{Calibration: Calibration{Model: m, Set: set, Pool: pool, Data: data}, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Promise: 2.5, Scratch: t.TempDir(), MeasureTokens: tokens}
		p.Config.Target, p.Config.Of, p.Config.Allocation, p.Config.FFNOrder = "0.7x", "all", "auto", coupled.OrderRefit
		p.Measure = func() (Evaluation, error) { return Evaluation{}, nil }
		c, err := p.fit()
		if err != nil {
			t.Fatal(err)
		}
		p.Batch, p.Recompute = c.Batch, c.Recompute
		e, err := p.estimate()
		if err != nil {
			t.Fatal(err)
		}
		x := float64(e.pruning()) / float64(e.Plain)
		if x > 2.5 {
			t.Errorf("%d sequences: %.2f times the operations of plain passes, promised 2.5", n, x)
		}
	}
}
