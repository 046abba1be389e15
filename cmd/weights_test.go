package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/workload"
)

// eval and generate on weights that are kept as bfloat16 or Q8_0: about the same loss, in
// less memory, and what asks for float32 is refused.
func TestWeightsFlag(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("run"), "train.steps=60")...)
	if err := os.WriteFile(at("text.txt"), []byte(strings.Repeat("Anna was a small fox who lived by the river.\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	var r [3]workload.TextResult
	for i, dtype := range []string{"f32", "bf16", "q8_0"} {
		out, _ := mustRun(t, "ecospa", "eval", "--model", at("run"), "--data", at("text.txt"), "--weights", dtype, "--json")
		if err := json.Unmarshal([]byte(out), &r[i]); err != nil {
			t.Fatal(err)
		}
		if d := r[i].Loss - r[0].Loss; d < -0.02 || d > 0.02 {
			t.Errorf("%s: loss %g, float32 %g", dtype, r[i].Loss, r[0].Loss)
		}
		if i > 0 && (r[i].Loss == r[0].Loss || r[i].Weights >= r[i-1].Weights) {
			t.Errorf("%s: loss %g, %d bytes of weights; before %g, %d", dtype, r[i].Loss, r[i].Weights, r[i-1].Loss, r[i-1].Weights)
		}
		if text, _ := mustRun(t, "ecospa", "generate", "--model", at("run"), "--prompt", "Anna was", "--tokens", "5", "--temperature", "0", "--weights", dtype); !strings.HasPrefix(text, "Anna was") {
			t.Errorf("%s: generated %q", dtype, text)
		}
	}
	for _, args := range [][]string{{"--weights", "q4"}, {"--weights", "bf16", "--importance"}} {
		code, _, _ := runCommand(t, t.Context(), append([]string{"ecospa", "eval", "--model", at("run"), "--data", at("text.txt")}, args...)...)
		if code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, code)
		}
	}
}
