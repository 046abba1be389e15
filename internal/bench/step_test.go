package bench

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
)

// TestMemoryByLevel: pruning makes every level's plan smaller, recomputing makes the
// activations' smaller.
func TestMemoryByLevel(t *testing.T) {
	o := Options{Model: "llama-mini", Batch: 1, Seq: 16, Steps: 1, Of: "all", Moments: "f32"}
	var values [2]int64
	for level := graph.KeepAll; level <= graph.RecomputeLayer; level++ {
		o.Recompute, o.FFN = level, 0
		dense, err := o.Memory()
		if err != nil {
			t.Fatal(err)
		}
		o.FFN = 256
		pruned, err := o.Memory()
		if err != nil {
			t.Fatal(err)
		}
		if pruned.Total() >= dense.Total() {
			t.Errorf("%s: pruned plans %d bytes, dense %d", level, pruned.Total(), dense.Total())
		}
		if level < 2 {
			values[level] = dense.Activations + dense.InGradients
		}
	}
	if values[1] >= values[0] {
		t.Errorf("recomputing norms and activation functions plans %d bytes of activations, keeping all %d", values[1], values[0])
	}
}

// TestEveryRateIsANumber: a share of a peak is finite for both types on every machine,
// so that results have a form in JSON.
func TestEveryRateIsANumber(t *testing.T) {
	for _, bf16 := range []bool{false, true} {
		o := Options{Model: "llama-mini", Batch: 1, Seq: 8, Steps: 1, Of: "all", Moments: "f32", BF16: bf16}
		step, err := o.Step(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		infer, err := o.Infer()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []Result{step, infer} {
			if _, err := json.Marshal(r); err != nil || !(r.MFU > 0 && r.MFU < 1.5) || !(r.PeakGF > 0) {
				t.Errorf("bf16 %t: utilisation %g of %g GFLOP/s, %v", bf16, r.MFU, r.PeakGF, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, o := range []Options{
		{Model: "no-such", Batch: 1, Seq: 8}, {Model: "llama-mini", Batch: 1, Seq: 8, Prune: 0.01, Of: "all"}, {Model: "llama-mini", Batch: 1, Seq: 8, FFN: 1 << 20},
	} {
		if _, err := o.Step(context.Background()); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v, expected ErrOptions", o, err)
		}
	}
}
