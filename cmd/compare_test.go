package cmd

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/lab"
)

const quickComparison = `
train:
  model: {family: llama, layers: 2, width: 32, heads: 4, kv_heads: 2, ffn: 48, tied: true}
  data: {synthetic: stories, bytes: 40KB, validation: 0.1}
  tokenizer: {train: bytes}
  train: {steps: 20, batch: 4, context: 32, threads: 2}
seeds: [1, 2]
budgets: [0.7x, 0.5x]
sequences: 8
trial_sequences: 2
eval_tokens: 512
recover: {steps: 3, budgets: [0.5x]}
methods:
  - {name: default}
  - {name: "magnitude, uniform", criterion: magnitude, allocation: uniform, basis: none, compensate: none, qk_order: score, gains: false, recover: true}
  - {name: uncoupled, uncoupled: true, recover: true}
`

func TestCompare(t *testing.T) {
	tmp := t.TempDir()
	file, out := filepath.Join(tmp, "compare.yaml"), filepath.Join(tmp, "out")
	if err := os.WriteFile(file, []byte(quickComparison), 0o644); err != nil {
		t.Fatal(err)
	}
	compare := func(more ...string) (r lab.CompareResult) {
		t.Helper()
		text, _ := mustRun(t, append([]string{"ecospa", "bench", "compare", "-c", file, "--out", out, "--json"}, more...)...)
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	r := compare()
	if r.Made != 14 || len(r.Cells) != 14 || len(r.Rows) != 7 {
		t.Fatalf("%d cells of %d made, %d rows; expected 2 seeds x (dense and 3 methods x 2 budgets)", r.Made, len(r.Cells), len(r.Rows))
	}
	dense := map[uint64]lab.CompareCell{}
	for _, c := range r.Cells {
		if c.Budget == "" {
			dense[c.Seed] = c
			if c.Recovered == nil || *c.Recovered >= c.Loss {
				t.Errorf("three more steps leave the dense model at %v", c)
			}
			continue
		}
		d := dense[c.Seed]
		want := map[string]float64{"0.7x": 0.3, "0.5x": 0.5}[c.Budget]
		if math.Abs(c.Removed-want) > 0.03 || c.Params >= d.Params {
			t.Errorf("%s at %s removed %g of the prunable parameters, %d to %d", c.Method, c.Budget, c.Removed, d.Params, c.Params)
		}
		if got := c.Recovered != nil; got != (c.Method != "default" && c.Budget == "0.5x") {
			t.Errorf("%s at %s recovered: %t", c.Method, c.Budget, got)
		}
	}
	for _, row := range r.Rows {
		if row.Seeds != 2 || row.Loss.Mean <= 0 || row.Loss.Spread < 0 {
			t.Errorf("row %+v", row)
		}
	}
	if math.Abs(r.Rows[0].Increase.Mean) > 0 {
		t.Errorf("the dense model is %g above itself", r.Rows[0].Increase.Mean)
	}
	table, _ := os.ReadFile(filepath.Join(out, "table.md"))
	for _, name := range []string{"| default | 0.7x |", "| magnitude, uniform | 0.5x |", "| dense |"} {
		if !strings.Contains(string(table), name) {
			t.Errorf("table.md lacks %q:\n%s", name, table)
		}
	}
	for _, name := range []string{"table.csv", "result.json", "plot.svg", "plot.png", "dense-1/model.safetensors", "dense-2/run.yaml"} {
		if st, err := os.Stat(filepath.Join(out, name)); err != nil || st.Size() < 100 {
			t.Errorf("%s: %v", name, err)
		}
	}

	// The same again makes nothing; a lost, a damaged and a changed cell are made again, with the same figures.
	os.Remove(filepath.Join(out, "cells", "uncoupled-0.5x-seed1.json"))
	os.WriteFile(filepath.Join(out, "cells", "default-0.7x-seed2.json"), []byte(`{"key":`), 0o644)
	again := compare()
	if again.Made != 2 {
		t.Errorf("%d cells made, expected the 2 that were lost", again.Made)
	}
	for i, row := range again.Rows {
		if row.Loss != r.Rows[i].Loss {
			t.Errorf("%s at %s is %v, was %v", row.Method, row.Budget, row.Loss, r.Rows[i].Loss)
		}
	}
	if changed := compare("--set", "sequences=6"); changed.Made != 12 {
		t.Errorf("%d cells made with fewer sequences, expected all but the dense ones", changed.Made)
	}
}

func TestCompareRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, want string }{
		"unknown key":      {"budgets:", "budget:", "budget"},
		"repeated method":  {"name: default", "name: uncoupled", "twice"},
		"reserved name":    {"name: default", "name: dense", "dense"},
		"unknown method":   {"criterion: magnitude", "criterion: size", "magnitude, uniform"},
		"repeated budget":  {"[0.7x, 0.5x]", "[0.5x, 0.5x]", "budgets"},
		"budget":           {"[0.7x, 0.5x]", "[half, 0.5x]", "half"},
		"recovery":         {"budgets: [0.5x]}", "budgets: [0.6x]}", "recover.budgets"},
		"one model":        {"seeds:", "model: here\nseeds:", "{seed}"},
		"ablation's basis": {"uncoupled: true", "uncoupled: true, basis: svd", "uncoupled"},
		"rounds":           {"{name: default}", "{name: default, steps: -1}", "steps"},
		"pruned":           {"  tokenizer:", "  prune: {target: 0.5x}\n  tokenizer:", "train.prune"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(quickComparison, tc.from, tc.to, 1)
			if text == quickComparison {
				t.Fatal("nothing to replace")
			}
			file := filepath.Join(t.TempDir(), "compare.yaml")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			code, _, log := runCommand(t, t.Context(), "ecospa", "bench", "compare", "-c", file, "--out", t.TempDir())
			if code != exitUsage || !strings.Contains(log, tc.want) {
				t.Errorf("exit code %d: %s; expected %d and %q", code, log, exitUsage, tc.want)
			}
		})
	}
}

// TestCompareImages: the same comparison of a model of images.
func TestCompareImages(t *testing.T) {
	tmp := t.TempDir()
	file, out := filepath.Join(tmp, "compare.yaml"), filepath.Join(tmp, "out")
	text := `
train:
  model: {family: vit, layers: 2, width: 24, heads: 2, ffn: 32, image_size: 6, patch_size: 2, num_channels: 1}
  train: {steps: 60, batch: 24, threads: 2}
  optim: {lr: 4e-3}
budgets: [0.6x]
sequences: 48
recover: {steps: 5}
methods:
  - {name: default, recover: true}
  - {name: "random, uniform", criterion: random, allocation: uniform, basis: none, compensate: none, qk_order: score, gains: false, recover: true}
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"ecospa", "bench", "compare", "-c", file, "--data", bars(t, 240, 1), "--out", out, "--json"}
	compare := func() (r lab.CompareResult) {
		t.Helper()
		text, _ := mustRun(t, args...)
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	r := compare()
	if r.Made != 3 || len(r.Cells) != 3 {
		t.Fatalf("%d cells of %d made", r.Made, len(r.Cells))
	}
	for _, c := range r.Cells {
		if c.Recovered == nil || c.Budget != "" && math.Abs(c.Removed-0.4) > 0.05 {
			t.Errorf("%+v", c)
		}
	}
	dense, best, random := r.Cells[0].Loss, r.Cells[1].Loss, r.Cells[2].Loss
	if !(dense < 0.9) || !(best < random) {
		t.Errorf("losses: dense %g, default %g, random %g", dense, best, random)
	}
	if again := compare(); again.Made != 0 {
		t.Errorf("%d cells were made again", again.Made)
	}
}

// TestCompareByDistilling: cut models are trained against the dense one, which itself stays
// as it is; a shape that starts from nothing is behind the weights that it was cut with.
func TestCompareByDistilling(t *testing.T) {
	tmp := t.TempDir()
	file := filepath.Join(tmp, "compare.yaml")
	text := strings.Replace(quickComparison, "recover: {steps: 3, budgets: [0.5x]}", "recover: {tokens: 6000, budgets: [0.5x]}", 1)
	text = strings.Replace(text, "steps: 20,", "steps: 60,", 1)
	text, _, _ = strings.Cut(text, "methods:")
	text += "methods:\n  - {name: kept, recover: true}\n  - {name: scratch, recover: true, scratch: true, hidden: -1}\n" +
		"  - {name: text, recover: true, learn: text, lr: 1e-3}\n  - {name: lora, recover: true, learn: lora, lr: 1e-2}\n" +
		"  - {name: narrow, recover: true, slice: true, hidden: -1}\n" +
		"  - {name: depth, recover: true, kinds: [layer], criterion: influence, allocation: global, basis: none, compensate: none, gains: false}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := mustRun(t, "ecospa", "bench", "compare", "-c", file, "--out", filepath.Join(tmp, "out"), "--set", "seeds=[1]", "--json")
	var r lab.CompareResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	got := map[string]lab.CompareCell{}
	for _, c := range r.Cells {
		got[c.Method+c.Budget] = c
	}
	dense, kept, scratch := got["dense"], got["kept0.5x"], got["scratch0.5x"]
	if dense.Recovered == nil || *dense.Recovered != dense.Loss || got["kept0.7x"].Recovered != nil {
		t.Errorf("the dense model: %+v", dense)
	}
	if kept.Recovered == nil || scratch.Recovered == nil || kept.Params != scratch.Params || *kept.Recovered >= kept.Loss || *scratch.Recovered >= scratch.Loss || *kept.Recovered >= *scratch.Recovered {
		t.Errorf("kept: %+v\nscratch: %+v", kept, scratch)
	}
	for _, name := range []string{"text", "lora", "narrow", "depth"} {
		c := got[name+"0.5x"]
		if c.Recovered == nil {
			t.Fatalf("%s: %+v", name, c)
		}
		most := c.Loss
		if name == "narrow" { // it has lost next to nothing that a few steps could bring back
			most += 0.1
		}
		if *c.Recovered >= most || c.Params > kept.Params || c.Params < kept.Params*9/10 {
			t.Errorf("%s: %+v, %g after recovery, parameters kept %d", name, c, *c.Recovered, kept.Params)
		}
	}
	refused(t, []bad{{"slice", []string{"ecospa", "bench", "compare", "-c", file, "--out", filepath.Join(tmp, "x"), "--set", "methods=[{name: a, slice: true, recover: true}]"}, 2, []string{"slice", "hidden -1"}}})
	refused(t, []bad{{"learn", []string{"ecospa", "bench", "compare", "-c", file, "--out", filepath.Join(tmp, "x"), "--set", "methods=[{name: a, learn: heart}]"}, 2, []string{"learn is", "parent, text, lora"}}})
	refused(t, []bad{{"the ablation", []string{"ecospa", "bench", "compare", "-c", file, "--out", filepath.Join(tmp, "x"), "--set", "methods=[{name: a, uncoupled: true, recover: true}]"}, 2, []string{"recover.tokens", "uncoupled"}}})
}
