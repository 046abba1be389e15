package cmd

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPaper makes two small rows, is interrupted once, and makes nothing twice.
func TestPaper(t *testing.T) {
	bookAt(t)
	file := `seeds: [1, 2]
rows:
  - name: shrink
    title: Shrinking
    paper: half of it
    config: configs/text-llama.yaml
    set: [train.steps=12, train.batch=2, train.context=48, train.eval_tokens=200, train.sample=0, tokenizer.vocab=300, model.layers=2, model.width=64, model.ffn=96, model.heads=4, model.kv_heads=2, checkpoint.every=2]
    variants:
      - {name: dense, set: [prune.target=]}
      - {name: pruned, set: [prune.target=0.5x]}
  - name: methods
    title: Methods
    compare: configs/compare-llama.yaml
quick:
  seeds: [1]
  set: [train.steps=8]
  compare: ["seeds=[1]", "budgets=[0.5x]", train.train.steps=6, train.train.batch=2, train.train.context=32, train.model.context=32, train.model.layers=2, train.model.width=32, train.model.heads=4, train.model.kv_heads=2, train.model.ffn=64, eval_tokens=200, sequences=4, trial_sequences=2, recover.steps=0,
    "methods=[{name: random, criterion: random, allocation: uniform, basis: none, compensate: none, qk_order: score, gains: false}]"]
`
	if err := os.WriteFile("paper.yaml", []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"ecospa", "bench", "paper", "-c", "paper.yaml", "--data", "book.txt", "--out", "res", "--only", "shrink", "--json"}

	ctx, cancel := context.WithCancel(t.Context())
	go cancelAfter(ctx, cancel, filepath.Join("res", "shrink", "pruned-1", "metrics.jsonl"), 3)
	if code, _, log := run(t, ctx, args...); code != exitInterrupted && code != exitOK {
		t.Fatalf("interrupted with %d: %s", code, log)
	}
	out, _ := mustRun(t, args...)
	var r PaperResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 1 || len(r.Rows[0].Variants) != 2 {
		t.Fatalf("%+v", r)
	}
	dense, pruned := r.Rows[0].Variants[0], r.Rows[0].Variants[1]
	if dense.Seeds != 2 || pruned.Prunable.Mean > 0.5*dense.Prunable.Mean || pruned.Prunable.Mean < 0.3*dense.Prunable.Mean || pruned.Planned.Mean >= dense.Planned.Mean ||
		pruned.Perplexity.Mean <= 1 || dense.Perplexity.Spread == 0 || pruned.Prefill.Mean <= 0 || pruned.Decode.Mean <= 0 {
		t.Errorf("dense %+v\npruned %+v", dense, pruned)
	}
	before, err := os.Stat(filepath.Join("res", "cells", "shrink-pruned-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	if again, log := mustRun(t, args...); again != out || strings.Contains(log, "-- ") {
		t.Errorf("the second time gives\n%s\nexpected\n%s\n%s", again, out, log)
	}
	if after, err := os.Stat(filepath.Join("res", "cells", "shrink-pruned-1.json")); err != nil || after.ModTime() != before.ModTime() {
		t.Errorf("the cell was made again: %v", err)
	}
	page, err := os.ReadFile("res/paper.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Shrinking", "The paper: half of it.", "| perplexity |", "x) |", "| seeds | 2 | 2 |"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("paper.md lacks %q:\n%s", want, page)
		}
	}
	for _, f := range []string{"paper.csv", "result.json", "shrink.html", "shrink.png", "shrink.svg"} {
		if s, err := os.Stat(filepath.Join("res", f)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}

	// Other settings for runs that are there are refused.
	if code, _, msg := run(t, t.Context(), append(args, "--quick")...); code != exitUsage || !strings.Contains(msg, "made with other settings") {
		t.Errorf("--quick on the same directory ends with %d: %s", code, msg)
	}
	quick := []string{"ecospa", "bench", "paper", "-c", "paper.yaml", "--data", "book.txt", "--out", "quick", "--quick"}
	out, _ = mustRun(t, quick...)
	if !strings.Contains(out, "quick look") || !strings.Contains(out, "methods/table.md") {
		t.Errorf("--quick prints\n%s", out)
	}
	if code, _, msg := run(t, t.Context(), append(quick, "--only", "nothing")...); code != exitUsage || !strings.Contains(msg, "shrink, methods") {
		t.Errorf("--only nothing ends with %d: %s", code, msg)
	}
}
