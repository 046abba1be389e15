package run

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/train"
)

// TestBoard: a run that prunes, and goes on later, leaves event files with its losses, the
// scores and the picture of each plan, and what it wrote; the samples stand in its metrics.
func TestBoard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c := tiny(t, dir, "logging.tensorboard=true", "logging.sample_every=5", "logging.prompts=[One day, The bear]", "train.sample=6", "train.eval_every=5")
	if _, err := trained(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	files := func() []string {
		names, _ := filepath.Glob(filepath.Join(dir, boardDir, "events.out.tfevents.*"))
		return names
	}
	if len(files()) != 1 {
		t.Fatalf("event files: %v", files())
	}
	text, err := os.ReadFile(files()[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"brain.Event:2", "train/loss", "validation/loss", "speed/mfu", "scores/ffn", "scores/qk", "plan/kept", "\x89PNG", "samples/1", "The bear"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the event file has no %q", want)
		}
	}
	lines, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(lines) {
		var r train.Record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if due := r.Step%5 == 0; due != (len(r.Samples) == 2) || due && (!strings.HasPrefix(r.Samples[1], "The bear") || len(r.Samples[1]) <= len("The bear")) {
			t.Errorf("step %d has the samples %q", r.Step, r.Samples)
		}
		if !(r.MFU > 0) {
			t.Errorf("step %d has the MFU %g", r.Step, r.MFU)
		}
	}
	c.Train.Steps = 12
	if _, err := trained(t, c, Options{Mode: Continue, Allow: []string{"train.steps"}}); err != nil {
		t.Fatal(err)
	}
	if len(files()) != 2 {
		t.Errorf("a run that went on has the event files %v", files())
	}
	if _, err := trained(t, c, Options{Mode: New, Force: true}); err != nil {
		t.Fatal(err)
	}
	if len(files()) != 1 {
		t.Errorf("a run that took another's place has the event files %v", files())
	}
	c.Train.Sample = 0
	if _, err := trained(t, c, Options{Mode: New, Force: true}); fault.Of(err) != fault.Config || !strings.Contains(err.Error(), "train.sample, the number of tokens per sample, is 0") {
		t.Errorf("samples of no tokens: %v", err)
	}
}
