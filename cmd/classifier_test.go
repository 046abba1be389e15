package cmd

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// TestNewClassifier: an image model that was pruned learns other classes; it goes on
// from every weight but the classifier's, and also after an interruption.
func TestNewClassifier(t *testing.T) {
	tmp := t.TempDir()
	first, second := filepath.Join(tmp, "first"), filepath.Join(tmp, "second")
	mustRun(t, visionRun(bars(t, 240, 1), first)...)
	text, err := os.ReadFile(bars(t, 240, 3))
	if err != nil {
		t.Fatal(err)
	}
	// Two classes of other names: slanted bars, and straight ones.
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("lying"), []byte("straight")), []byte("standing"), []byte("straight"))
	other := filepath.Join(tmp, "other.csv")
	if err := os.WriteFile(other, text, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"ecospa", "finetune", "--from", first, "--data", other, "--out", second, "--set", "train.batch=24", "--set", "train.steps=40", "--set", "optim.lr=2e-3", "--set", "checkpoint.every=20"}
	code, _, log := runCommand(t, t.Context(), args...)
	if code != exitBadInput || !strings.Contains(log, "--new-classifier") {
		t.Errorf("other classes: %d, %s", code, log)
	}
	if code, _, log := runCommand(t, t.Context(), append(args, "--new-classifier", "--set", "lora.rank=2")...); code != exitUsage || !strings.Contains(log, "new_classifier") {
		t.Errorf("with adapters: %d, %s", code, log)
	}
	_, log = mustRun(t, append(args, "--new-classifier")...)
	if !strings.Contains(log, "2 instead of 3; new: head, head_bias") {
		t.Errorf("log:\n%s", log)
	}
	if out, _ := mustRun(t, "ecospa", "eval", "--model", second, "--data", other, "--json"); !strings.Contains(out, `"images": 240`) {
		t.Errorf("eval: %s", out)
	}

	// Nothing but the classifier is new: a step too small to be seen changes no other tensor.
	still := filepath.Join(tmp, "still")
	mustRun(t, append(args, "--new-classifier", "--out", still, "--set", "train.steps=1", "--set", "optim.lr=1e-12", "--set", "optim.weight_decay=0")...)
	tensors := func(dir string) map[string][]float32 {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		m, err := checkpoint.ReadTensors(root, "model.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	was, is := tensors(first), tensors(still)
	for name, x := range was {
		same := slices.EqualFunc(x, is[name], func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-10 })
		if classifier := strings.HasPrefix(name, "classifier."); classifier == same {
			t.Errorf("%s: the same values: %v", name, !classifier)
		}
	}
}
