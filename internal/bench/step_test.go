package bench

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
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

// TestLinesFit: results of the largest models fit a terminal.
func TestLinesFit(t *testing.T) {
	r := Result{
		Model: "llama-1b", Mode: "prefill", DType: "bf16", Params: 1339082752, Batch: 128, Seq: 65536, Threads: 128, CPU: "avx512_bf16", Ms: 123456.7, PerS: 1234567,
		Unit: "tokens", MFU: 0.55, PeakGF: 12345, PeakRSS: 1234567, Ranks: 16, WireBytes: 5e9, Wire: "bf16", ReadGBs: 123.4, ReadShare: 0.93,
	}
	for line := range strings.Lines(r.String() + Pair{Dense: r, Pruned: r, Params: 0.5, Planned: 0.5, Resident: 0.5, Time: 0.5}.String()) {
		if n := len(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
