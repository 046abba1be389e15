package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/prune"
)

// stopAt is a log that ends a context when a line holds a text.
type stopAt struct {
	bytes.Buffer
	text string
	stop func()
}

func (s *stopAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.text) {
		s.stop()
	}
	return s.Buffer.Write(p)
}

// TestPruneResume: a recovery that is interrupted leaves a model like any other, and gone
// on with it ends with the weights of one that was not.
func TestPruneResume(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("dense"), "prune.target=", "train.steps=30")...)
	if err := os.WriteFile(at("text.txt"), []byte(strings.Repeat("Anna was a small fox who lived by the river. Her best friend was Tom the bear.\n", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	args := func(out string, more ...string) []string {
		return append([]string{"ecospa", "prune", "--from", at("dense"), "--data", at("text.txt"), "--sequences", "12", "--target", "0.5x", "--recover", "20k", "--threads", "1", "--json", "--out", at(out)}, more...)
	}
	whole, _ := mustRun(t, args("whole")...)

	ctx, cancel := context.WithCancel(t.Context())
	log := &stopAt{text: "recovering: step", stop: cancel}
	var out bytes.Buffer
	if code := runOn(ctx, alone, args("half"), strings.NewReader(""), &out, log); code != exitInterrupted || !strings.Contains(log.String(), "--resume") {
		t.Fatalf("exit code %d, expected %d and advice: %s", code, exitInterrupted, log.String())
	}
	mustRun(t, "ecospa", "eval", "--model", at("half"), "--data", at("text.txt"))
	refused(t, []bad{
		{"another budget", args("half", "--resume", "--recover", "30k"), 3, []string{"half", "budget"}},
		{"nothing to go on with", args("whole", "--resume"), 3, []string{"whole", "no interrupted recovery"}},
		{"without recovery", args("half", "--resume", "--recover", "none"), 2, []string{"--resume"}},
	})
	resumed, _ := mustRun(t, args("half", "--resume")...)
	var a, b prune.Report
	if err := json.Unmarshal([]byte(whole), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(resumed), &b); err != nil {
		t.Fatal(err)
	}
	if a.Before.Loss != b.Before.Loss || a.After.Loss != b.After.Loss || a.Before.FileBytes != b.Before.FileBytes || len(a.Rows) != len(b.Rows) || a.Recovery.Steps != b.Recovery.Steps {
		t.Errorf("gone on with: %s\nexpected: %s", resumed, whole)
	}
	x, _ := os.ReadFile(filepath.Join(at("whole"), "model.safetensors"))
	y, _ := os.ReadFile(filepath.Join(at("half"), "model.safetensors"))
	if len(x) == 0 || !slices.Equal(x, y) {
		t.Error("the resumed recovery has other weights than the one that was not interrupted")
	}
	if left, _ := filepath.Glob(filepath.Join(at("half"), "recovery.*")); len(left) > 0 {
		t.Errorf("%v are left of the finished recovery", left)
	}
}

// TestPruneOfLittleText: a text that is enough to calibrate on and not to recover with is no
// error by default, and is said.
func TestPruneOfLittleText(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("dense"), "prune.target=", "train.steps=3")...)
	if err := os.WriteFile(at("text.txt"), []byte("Anna was a small fox who lived by the river. Her best friend was Tom the bear. They ate."), 0o644); err != nil {
		t.Fatal(err)
	}
	_, log := mustRun(t, "ecospa", "prune", "--from", at("dense"), "--data", at("text.txt"), "--sequences", "2", "--allocation", "global", "--target", "0.8x", "--out", at("small"))
	if !strings.Contains(log, "not recovered: the training text has") {
		t.Error(log)
	}
}

// TestPruneWithoutData: the model's own text is enough, the second time from the cache.
func TestPruneWithoutData(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(tmp, "cache"))
	t.Setenv("HOME", tmp)
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("dense"), "prune.target=", "train.steps=30")...)
	var losses []float64
	for _, name := range []string{"a", "b"} {
		text, log := mustRun(t, "ecospa", "prune", "--from", at("dense"), "--data", "parent", "--sequences", "12", "--target", "0.6x", "--recover", "4k", "--threads", "1", "--out", at(name), "--json")
		var r prune.Report
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		if r.Data != "parent" || r.Recovery == nil || !strings.Contains(log, "from the model itself") {
			t.Errorf("%s\n%s", text, log)
		}
		losses = append(losses, r.After.Loss)
	}
	if losses[0] != losses[1] {
		t.Errorf("losses %v, expected the same text", losses)
	}
	if kept, _ := filepath.Glob(filepath.Join(tmp, "*", "ecospa", "drawn", "*.json")); len(kept) != 1 {
		t.Errorf("%d files of drawn text are kept, expected 1", len(kept))
	}
	refused(t, []bad{{"vocabulary", []string{"ecospa", "prune", "--from", at("dense"), "--data", "parent", "--vocab", "280", "--out", at("x")}, 2, []string{"vocabulary", "sampled"}}})
}
