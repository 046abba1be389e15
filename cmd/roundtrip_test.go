package cmd

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/workload"
)

// A directory of Hugging Face's is pruned, fine-tuned, exported and read again: the
// perplexity is the same to 1e-6 of itself, whatever the layout of the plan.
func TestRoundTrip(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	text := at("text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("A crow sat on the wall. The crow had a nut. A dog came by and saw the nut.\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	eval := func(dir string) workload.TextResult {
		t.Helper()
		out, _ := mustRun(t, "ecospa", "eval", "--model", dir, "--data", text, "--context", "32", "--json")
		var r workload.TextResult
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	mustRun(t, small(at("run"), "train.steps=10", "train.sample=0", "prune.target=")...)
	mustRun(t, "ecospa", "export", "--model", at("run"), "--format", "hf", "--out", at("dense"))
	dense := eval(at("dense"))
	for layout, pad := range map[string][]string{"hf": nil, "onnx": {"--pad"}} { // onnx: each head its own widths
		pruned, tuned, back := at(layout+"-pruned"), at(layout+"-tuned"), at(layout+"-back")
		mustRun(t, "ecospa", "prune", "--from", at("dense"), "--data", text, "--target", "0.7x", "--for", layout, "--sequences", "8", "--context", "32", "--recover", "none", "--out", pruned)
		mustRun(t, tune(pruned, text, tuned, "train.steps=5", "train.sample=0")...)
		mustRun(t, append([]string{"ecospa", "export", "--model", tuned, "--format", "hf", "--out", back}, pad...)...)
		before, want, got := eval(pruned), eval(tuned), eval(back)
		if want.Params >= dense.Params || before.Loss == want.Loss {
			t.Errorf("%s: %d parameters of %d, loss %v then %v", layout, want.Params, dense.Params, before.Loss, want.Loss)
		}
		if d := math.Abs(got.Perplexity/want.Perplexity - 1); !(d <= 1e-6) || got.Tokens != want.Tokens {
			t.Errorf("%s: perplexity %v of %d tokens, then %v of %d: a difference of %g", layout, want.Perplexity, want.Tokens, got.Perplexity, got.Tokens, d)
		}
	}
}
