package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/prune"
)

func TestPrune(t *testing.T) {
	tmp := t.TempDir()
	dense, text := filepath.Join(tmp, "dense"), filepath.Join(tmp, "text.txt")
	mustRun(t, small(dense, "prune.target=", "train.steps=30")...)
	if err := os.WriteFile(text, []byte(strings.Repeat("Anna was a small fox who lived by the river. Her best friend was Tom the bear.\n", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	source, _ := os.ReadFile(filepath.Join(dense, "model.safetensors"))
	at := func(name string) string { return filepath.Join(tmp, name) }
	args := func(more ...string) []string {
		return append([]string{"ecospa", "prune", "--from", dense, "--data", text, "--sequences", "12", "--recover", "none"}, more...)
	}
	result := func(args []string) (r prune.Report) {
		t.Helper()
		out, _ := mustRun(t, append(args, "--json")...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return r
	}

	r := result(args("--target", "0.6x", "--out", at("small")))
	if r.After == nil || r.After.Params > r.Before.Params*6/10 || r.After.FLOPs >= r.Before.FLOPs || r.After.Loss <= 0 {
		t.Errorf("pruned to %+v from %+v", r.After, r.Before)
	}
	out, _ := mustRun(t, "ecospa", "inspect", "--model", at("small"), "--json")
	var shown bundle.Facts
	if err := json.Unmarshal([]byte(out), &shown); err != nil || shown.Params != r.After.Params || shown.DenseParams != r.Before.Params {
		t.Errorf("inspect shows %+v (%v)", shown, err)
	}

	// A dry run writes a plan; the plan applied gives the same model.
	dry := result(args("--target", "0.6x", "--dry-run", "--out", at("plan.json")))
	if dry.After != nil || dry.Planned != r.After.Params {
		t.Errorf("the dry run says %d parameters, %+v", dry.Planned, dry.After)
	}
	result(args("--plan", at("plan.json"), "--out", at("planned")))
	a, _ := os.ReadFile(filepath.Join(at("small"), "model.safetensors"))
	b, _ := os.ReadFile(filepath.Join(at("planned"), "model.safetensors"))
	if len(a) == 0 || string(a) != string(b) {
		t.Error("the plan applied gives another model than pruning at once")
	}

	// Evidence kept serves another budget.
	plain := []string{"--basis", "none", "--compensate", "none", "--gains=false", "--allocation", "global", "--qk-order", "score"}
	result(args(append(plain, "--target", "0.8x", "--out", at("p8"), "--save-scores", at("scores"))...))
	again := result(args(append(plain, "--target", "0.6x", "--out", at("p6"), "--scores", at("scores"))...))
	fresh := result(args(append(plain, "--target", "0.6x", "--out", at("q6"))...))
	if again.After.Loss != fresh.After.Loss {
		t.Errorf("from saved evidence the loss is %g, from fresh evidence %g", again.After.Loss, fresh.After.Loss)
	}
	if z := result(args("--target", "0.6x", "--uncoupled", "--out", at("zeroed"))); z.Zeroed == 0 || z.After.Params != z.Before.Params {
		t.Errorf("the ablation: %+v", z.After)
	}

	// A bound on memory is met by the plan that comes out, nearly used up.
	for _, use := range []string{"inference", "training"} {
		of := func(m prune.PlannedMemory) int64 {
			if use == "training" {
				return m.Training
			}
			return m.Inference
		}
		bound := of(r.MemoryBefore) * 8 / 10
		m := result(args("--target-memory", fmt.Sprint(bound), "--memory-of", use, "--allocation", "global", "--out", at("memory-"+use)))
		if got := of(m.MemoryAfter); got > bound || got < bound*95/100 {
			t.Errorf("%s memory is planned as %d bytes under a bound of %d", use, got, bound)
		}
	}

	// Recovery wins back some of what the cut cost, and says so; it is the default, with four
	// times the calibration's tokens.
	out, log := mustRun(t, "ecospa", "prune", "--from", dense, "--data", text, "--sequences", "12", "--target", "0.5x", "--out", at("auto"), "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Recovery == nil || r.Recovery.Tokens > 4*512 || !strings.Contains(log, "against the model before the cut, about") {
		t.Errorf("by default: %s\n%s", out, log)
	}
	v := result(args("--target", "0.5x", "--recover", "20k", "--out", at("recovered")))
	if c := v.Recovery; c == nil || c.Tokens < 5_000 || c.Best.Loss > c.Points[0].Loss || len(c.Points) < 3 {
		t.Errorf("recovery: %+v", v.Recovery)
	}

	refused(t, []bad{
		{"recovery's budget", args("--target", "0.5x", "--recover", "much", "--out", at("x")), 2, []string{"much", "200k", "3m"}},
		{"recovery of a dry run", args("--target", "0.5x", "--recover", "20k", "--dry-run"), 2, []string{"dry run"}},
		{"memory out of reach", args("--target-memory", "2KiB", "--out", at("x")), 2, []string{"out of reach", "bytes"}},
		{"memory of", args("--target-memory", "2GiB", "--memory-of", "fun", "--out", at("x")), 2, []string{"fun", "training"}},
		{"memory of what", args("--target", "0.5x", "--memory-of", "training", "--out", at("x")), 2, []string{"--target-memory"}},
		{"out is there", args("--target", "0.5x", "--out", at("small")), 2, []string{"small", "--force"}},
		{"over itself", args("--target", "0.5x", "--out", dense, "--force"), 2, []string{"source"}},
		{"no target", args("--out", at("x")), 2, []string{"--target"}},
		{"no out", args("--target", "0.5x"), 2, []string{"--out"}},
		{"out of reach", args("--target", "0.01x", "--out", at("x")), 2, []string{"out of reach"}},
		{"two targets", args("--target", "0.5x", "--ratio", "qk=0.5", "--out", at("x")), 2, []string{"target", "ratio"}},
		{"ratio", args("--ratio", "qk:0.5", "--out", at("x")), 2, []string{"qk:0.5"}},
		{"layer", args("--target", "0.5x", "--skip-layers", "7", "--out", at("x")), 2, []string{"7"}},
		{"layer's spelling", args("--target", "0.5x", "--skip-layers", "one", "--out", at("x")), 2, []string{"one"}},
		{"basis", args("--target", "0.5x", "--basis", "fourier", "--out", at("x")), 2, []string{"fourier", "data-svd"}},
		{"plan of another model", []string{"ecospa", "prune", "--from", at("small"), "--data", text, "--recover", "none", "--plan", at("plan.json"), "--out", at("x")}, 3, []string{"plan.json"}},
		{"no plan", args("--plan", text, "--out", at("x")), 3, []string{"text.txt"}},
		{"no scores", args(append(plain, "--target", "0.5x", "--scores", text, "--out", at("x"))...), 3, []string{"text.txt"}},
		{"plan and target", args("--plan", at("plan.json"), "--target", "0.5x", "--out", at("x")), 2, []string{"--plan"}},
	})
	if now, _ := os.ReadFile(filepath.Join(dense, "model.safetensors")); string(now) != string(source) {
		t.Error("the source has changed")
	}
	if _, err := os.Stat(at("x")); err == nil {
		t.Error("a refused prune left something behind")
	}
}
