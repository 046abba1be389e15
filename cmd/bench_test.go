package cmd

import (
	"encoding/json"
	"testing"

	"github.com/ecospa/ecospa/pkg/train"
)

func TestBenchKernels(t *testing.T) {
	out, _ := mustRun(t, "ecospa", "bench", "kernels", "--rows", "64", "--width", "64", "--steps", "1", "--json")
	var r KernelsResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	products := 0
	for _, k := range r.Rows {
		if k.Ms <= 0 || k.GBs <= 0 || k.Share <= 0 {
			t.Errorf("%s on %s was not measured: %+v", k.Kernel, k.Path, k)
		}
		if k.GFLOPS > 0 {
			products++
		}
	}
	if products < 3 {
		t.Errorf("%d rows with products, expected attention, its backward pass and a product", products)
	}
	if code, _, _ := run(t, t.Context(), "ecospa", "bench", "kernels", "--rows", "5"); code != exitUsage {
		t.Errorf("5 rows: exit code %d, expected %d", code, exitUsage)
	}
}

func TestBenchMemory(t *testing.T) {
	sizes := []string{"ecospa", "bench", "memory", "--model", "llama-mini", "--batch", "1", "--seq", "16", "--steps", "1", "--json"}
	read := func(more ...string) (r MemoryResult) {
		out, _ := mustRun(t, append(sizes, more...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	dense, pruned := read(), read("--ffn", "256")
	if len(dense.Rows) != 4 {
		t.Fatalf("%d levels, expected none, light, attention and layer", len(dense.Rows))
	}
	for i, m := range dense.Rows {
		if m.Planned.Weights < 4*int64(dense.Params) {
			t.Errorf("%s: %d bytes of weights for %d parameters", m.Recompute, m.Planned.Weights, dense.Params)
		}
		if m.Total != m.Planned.Total() || m.Ms <= 0 || m.Resident <= 0 {
			t.Errorf("%s: total, time or resident memory is wrong: %+v", m.Recompute, m)
		}
		if pruned.Rows[i].Total >= m.Total {
			t.Errorf("%s: pruned plans %d bytes, dense %d", m.Recompute, pruned.Rows[i].Total, m.Total)
		}
	}
	values := func(m train.Memory) int64 { return m.Activations + m.Lent }
	if first, last := values(dense.Rows[0].Planned), values(dense.Rows[1].Planned); last >= first {
		t.Errorf("recomputing norms and activation functions plans %d bytes of activations, keeping all %d", last, first)
	}
}

func TestBenchCalibrate(t *testing.T) {
	out, _ := mustRun(t, "ecospa", "bench", "calibrate", "--model", "llama-mini", "--batch", "1", "--seq", "8", "--sequences", "8", "--trial-sequences", "1", "--ffn", "64", "--json")
	var r CalibrateResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 5 || r.Trials < 20 {
		t.Fatalf("%d rows, %d trials: %+v", len(r.Rows), r.Trials, r.Rows)
	}
	for _, x := range r.Rows {
		if x.Seconds <= 0 || x.Plain <= 0 || x.Ratio <= 0 || x.Resident <= 0 || x.Sequences < 2 {
			t.Errorf("not measured: %+v", x)
		}
	}
}
