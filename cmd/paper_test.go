package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/lab"
)

// TestPaper makes two small rows, is interrupted once, and makes nothing twice.
func TestPaper(t *testing.T) {
	bookAt(t)
	const small = "train.steps=12, train.batch=2, train.context=48, train.eval_tokens=200"
	file := `seeds: [1, 2]
rows:
  - name: shrink
    title: Shrinking
    paper: half of it
    config: configs/text-llama.yaml
    set: [` + small + `, train.sample=0, tokenizer.vocab=300, model.layers=2, model.width=64, model.ffn=96, model.heads=4, model.kv_heads=2, checkpoint.every=2]
    quick: [train.steps=8]
    variants:
      - {name: dense, set: [prune.target=]}
      - {name: pruned, set: [prune.target=0.5x]}
    claims:
      - {paper: half, figure: prunable, of: pruned, over: dense, at_most: 0.5, why: never said}
      - {paper: a tenth, figure: params, of: pruned, over: dense, at_most: 0.1, why: it is too much.}
  - name: again
    title: Another text
    data: other
    config: configs/finetune-pruned.yaml
    quick: [` + small + `]
    from: shrink/dense
    sequences: 8
    budgets: [0.6x]
    methods: [{name: magnitude, criterion: magnitude, allocation: uniform, basis: none, compensate: none, qk_order: score, gains: false}]
    variants: [{name: whole, from: shrink/dense}]
  - name: methods
    title: Methods
    compare: configs/compare-coupling.yaml
    show: [coupled]
    quick: ["budgets=[0.5x]", train.train.steps=6, train.train.batch=2, train.train.context=32, train.model.context=32, train.model.layers=2, train.model.width=32, train.model.heads=4, train.model.kv_heads=2, train.model.ffn=64, eval_tokens=200, sequences=4, trial_sequences=2, recover.steps=2]
  - name: pictures
    title: Images
    data: images
    config: configs/vision-optdigits.yaml
    quick: [train.steps=4, train.batch=4, train.eval_every=4, model.layers=2, model.width=32, model.ffn=48]
    variants: [{name: dense, set: [prune.target=]}, {name: further, from: pictures/dense, config: configs/finetune-vision.yaml, set: [prune.target=]}]
  - name: steps
    title: Steps
    bench: {mode: step, model: llama-1b, quick_model: llama-60m, seq: 8, prune: 0.6, of: prunable, steps: 1}
    claims: [{paper: less time, figure: ms, of: pruned, over: dense, at_most: 10}]
quick: {seeds: [1]}
`
	if err := os.WriteFile("paper.yaml", []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"ecospa", "bench", "paper", "-c", "paper.yaml", "--data", "book.txt", "--out", "res", "--only", "shrink", "--json"}

	ctx, cancel := context.WithCancel(t.Context())
	go cancelAfter(ctx, cancel, filepath.Join("res", "shrink", "pruned-1", "metrics.jsonl"), 3)
	if code, _, log := runCommand(t, ctx, args...); code != exitInterrupted && code != exitOK {
		t.Fatalf("interrupted with %d: %s", code, log)
	}
	out, _ := mustRun(t, args...)
	var r lab.PaperResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 1 || len(r.Rows[0].Variants) != 2 {
		t.Fatalf("%+v", r)
	}
	dense, pruned := r.Rows[0].Variants[0], r.Rows[0].Variants[1]
	ratio := func(name string) float64 { return pruned.Figures[name].Mean / dense.Figures[name].Mean }
	if dense.Seeds != 2 || ratio("prunable") > 0.5 || ratio("prunable") < 0.3 || ratio("planned") >= 1 ||
		pruned.Figures["perplexity"].Mean <= 1 || dense.Figures["perplexity"].Spread == 0 || pruned.Figures["prefill"].Mean <= 0 || pruned.Figures["decode"].Mean <= 0 {
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
	for _, want := range []string{"## Shrinking", "The paper: half of it.", "| perplexity |", "x) |", "Seeds: 2.", "| half | of them prunable, pruned over dense | 0.", "| at most 0.5 | yes |", "| at most 0.1 | **no** |", "Not reached, a tenth: it is too much."} {
		if !strings.Contains(string(page), want) {
			t.Errorf("paper.md lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(string(page), "never said") {
		t.Errorf("paper.md gives a reason for what was reached:\n%s", page)
	}
	for _, f := range []string{"paper.csv", "result.json", "shrink.html", "shrink-perplexity.png", "shrink-perplexity.svg"} {
		if s, err := os.Stat(filepath.Join("res", f)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", f, err)
		}
	}

	// Other settings for runs that are there are refused.
	if code, _, msg := runCommand(t, t.Context(), append(args, "--quick")...); code != exitUsage || !strings.Contains(msg, "made with other settings") {
		t.Errorf("--quick on the same directory ends with %d: %s", code, msg)
	}
	quick := []string{"ecospa", "bench", "paper", "-c", "paper.yaml", "--data", "book.txt", "--out", "quick", "--quick"}
	if code, _, msg := runCommand(t, t.Context(), quick...); code != exitUsage || !strings.Contains(msg, "again needs --other-data") {
		t.Errorf("a row without its text ends with %d: %s", code, msg)
	}
	images(t, "pictures.csv")
	quick = append(quick, "--other-data", "book.txt", "--images", "pictures.csv", "--images-test", "pictures.csv")
	out, log := mustRun(t, append(quick, "--json")...)
	if !strings.Contains(log, "estimate   together") {
		t.Errorf("there is no estimate:\n%s", log)
	}
	r = lab.PaperResult{}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int][]string{
		1: {"cut_perplexity", "prune_seconds", "prune_peak", "perplexity"},
		2: {"increase", "behind", "loss", "recovered"},
		3: {"top1", "images", "peak_rss"},
		4: {"ms", "rss", "planned"},
	} {
		last := r.Rows[i].Variants[1]
		for _, name := range want {
			if _, ok := last.Figures[name]; !ok {
				t.Errorf("%s of %s has no %s: %v", last.Name, r.Rows[i].Name, name, last.Figures)
			}
		}
	}
	if whole, cut := r.Rows[1].Variants[0].Figures["params"].Mean, r.Rows[1].Variants[1].Figures["params"].Mean; cut >= whole {
		t.Errorf("the cut left %g of %g parameters", cut, whole)
	}
	if !strings.Contains(r.Rows[4].Note, "llama-60m, not llama-1b") || r.Rows[4].Hours <= 0 {
		t.Errorf("%+v", r.Rows[4])
	}
	if out, _ = mustRun(t, quick...); !strings.Contains(out, "quick look") {
		t.Errorf("--quick prints\n%s", out)
	}
	if code, _, msg := runCommand(t, t.Context(), append(quick, "--only", "nothing")...); code != exitUsage || !strings.Contains(msg, "shrink, again, methods") {
		t.Errorf("--only nothing ends with %d: %s", code, msg)
	}
}

// images writes 8 x 8 pictures of ten classes, a brighter row each.
func images(t *testing.T, name string) {
	t.Helper()
	var b strings.Builder
	for i := range 40 {
		for pixel := range 64 {
			fmt.Fprintf(&b, "%d,", 1+(pixel/8+i)%3*5)
		}
		fmt.Fprintf(&b, "%d\n", i%10)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
