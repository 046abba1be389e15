package cmd

import (
	"encoding/json"
	"testing"

	"github.com/ecospa/ecospa/internal/bench"
)

func TestBenchStepAgainstDense(t *testing.T) {
	out, _ := mustRun(t, "ecospa", "bench", "step", "--model", "llama-mini", "--batch", "1", "--seq", "16", "--steps", "1", "--prune", "0.5", "--of", "prunable", "--moments", "bf16", "--versus-dense", "--json")
	var r bench.Pair
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	// llama-mini has 9.4 million parameters in its layers, 6.3 in embedding and head.
	if r.Params > 0.71 || r.Params < 0.66 {
		t.Errorf("%g of the parameters are left, expected about 0.70", r.Params)
	}
	if r.Planned >= 1 || r.Planned <= 0 || r.Time <= 0 || r.Pruned.Ms <= 0 {
		t.Errorf("ratios of memory and time: %+v", r)
	}
	for i, w := range r.Pruned.Widths {
		if d := r.Dense.Widths[i]; w >= d || w < d/4 {
			t.Errorf("width %d is %d, dense %d", i, w, d)
		}
	}
	for _, args := range [][]string{{"--prune", "0.01"}, {"--prune", "2"}, {"--prune", "0.5", "--ffn", "8"}, {"--moments", "f16"}, {"--of", "half"}} {
		if code, _, log := runCommand(t, t.Context(), append([]string{"ecospa", "bench", "step", "--model", "llama-mini", "--seq", "8"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit code %d, expected %d: %s", args, code, exitUsage, log)
		}
	}
}

func TestBenchInferModes(t *testing.T) {
	for _, dtype := range []string{"f32", "bf16"} {
		out, _ := mustRun(t, "ecospa", "bench", "infer", "--model", "llama-mini", "--all-modes", "--steps", "1", "--dtype", dtype, "--json")
		var r InferModes
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		for i, mode := range []string{"prefill", "decode", "decode"} {
			row := r.Rows[i]
			if row.Mode != mode || row.PerS <= 0 || row.DType != dtype || (row.ReadShare > 0) != (mode == "decode") {
				t.Errorf("row %d: %+v", i, row)
			}
			// The plan has the weights at least, and nothing that is not there.
			if least := int64(row.Params) * 4 >> 20; row.Planned < least || row.Planned > row.PeakRSS {
				t.Errorf("row %d: %d MiB planned, %d for the weights, %d resident", i, row.Planned, least, row.PeakRSS)
			}
		}
	}
}
