package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/data"
)

// TestData runs the commands of docs/corpora.md: a model writes texts, which go on where the
// file ends, they are prepared with its tokenizer, and it learns them, alone and in a mixture.
func TestData(t *testing.T) {
	tmp := t.TempDir()
	base, texts, shards, tuned := filepath.Join(tmp, "base"), filepath.Join(tmp, "texts.jsonl"), filepath.Join(tmp, "shards"), filepath.Join(tmp, "tuned")
	mustRun(t, small(base, "train.steps=3", "train.sample=0", "prune.target=")...)
	sample := []string{"ecospa", "data", "sample", "--model", base, "--out", texts, "--count", "30", "--tokens", "24", "--prompt", "One day", "--seed", "7"}
	mustRun(t, sample...)
	want, err := os.ReadFile(texts)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(want, []byte("\n"))
	if len(lines) != 31 || !bytes.Contains(lines[3], []byte(`{"text":"One day`)) || !bytes.Contains(lines[3], []byte(`"number":3`)) || bytes.Equal(lines[1], lines[2]) {
		t.Fatalf("%d lines: %s", len(lines), want)
	}
	if err := os.WriteFile(texts, want[:len(want)*2/5], 0o644); err != nil { // in the middle of a line
		t.Fatal(err)
	}
	out, _ := mustRun(t, sample...)
	if got, err := os.ReadFile(texts); err != nil || !bytes.Equal(got, want) || !strings.Contains(out, "30 texts, ") || strings.Contains(out, " 0 of them there") {
		t.Errorf("a file that was gone on with is another: %s (%v)", out, err)
	}
	if code, _, log := runCommand(t, t.Context(), append(sample, "--seed", "8")...); code != 3 || !strings.Contains(log, "line 1 is not text 0 of seed 8") {
		t.Errorf("another seed: %d %s", code, log)
	}

	out, _ = mustRun(t, "ecospa", "data", "prepare", "--data", texts, "--model", base, "--out", shards, "--json")
	var about data.Prepared
	if err := json.Unmarshal([]byte(out), &about); err != nil || about.Documents != 30 || about.Learned < 100 || about.Pack != data.PackDocuments {
		t.Fatalf("%+v (%v)", about, err)
	}
	if code, _, log := runCommand(t, t.Context(), "ecospa", "data", "prepare", "--data", texts, "--model", base, "--out", shards); code != 3 || !strings.Contains(log, "holds a prepared corpus already") {
		t.Errorf("twice: %d %s", code, log)
	}
	if code, _, log := runCommand(t, t.Context(), "ecospa", "data", "prepare", "--data", texts, "--model", base, "--out", filepath.Join(texts, "shards")); code != 1 || !strings.Contains(log, "not a directory") {
		t.Errorf("a folder that cannot be made: %d %s, expected a failure and no bad input", code, log)
	}
	_, log := mustRun(t, "ecospa", "finetune", "--from", base, "--data", shards, "--out", tuned, "--set", "train.steps=3", "--set", "train.batch=4", "--set", "train.context=24", "--set", "train.sample=0")
	if !strings.Contains(log, "documents in ") {
		t.Error(log)
	}
	both, _ := mustRun(t, "ecospa", "eval", "--model", base, "--data", shards, "--json")
	plain, _ := mustRun(t, "ecospa", "eval", "--model", base, "--data", texts, "--json")
	if a, b := lossOf(t, both), lossOf(t, plain); a != b {
		t.Errorf("shards have the loss %s, the texts %s", a, b)
	}
	file := filepath.Join(tmp, "mix.yaml")
	text := fmt.Sprintf("from: %s\nout: %s\ndata:\n  mix:\n    - {path: %s, weight: 3}\n    - {path: %s, weight: 1}\n  validation: 0.2\ntrain: {steps: 3, batch: 4, context: 24, sample: 0}\n", base, filepath.Join(tmp, "mixed"), shards, texts)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, log := mustRun(t, "ecospa", "finetune", "--config", file); !strings.Contains(log, texts+" ") {
		t.Error(log)
	}
}

// lossOf is the loss that eval printed, and over how many tokens.
func lossOf(t *testing.T, text string) string {
	t.Helper()
	var v struct {
		Loss   float64
		Tokens int
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.9f of %d tokens", v.Loss, v.Tokens)
}
