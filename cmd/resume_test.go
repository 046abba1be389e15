package cmd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/train"
)

// TestResumeNamesEveryChange: all keys that differ are in one message, and can be
// allowed in one list.
func TestResumeNamesEveryChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	_, o := tiny(t, dir)
	if _, err := trainJob(t, o); err != nil {
		t.Fatal(err)
	}
	o.Resume = true
	o.Set = append(o.Set, "optim.clip=0.5", "optim.lr=1e-4", "train.steps=12")
	_, err := trainJob(t, o)
	if exitCode(err) != exitUsage {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{`optim.clip from "1" to "0.5"`, `optim.lr from "0.003" to "0.0001"`, `train.steps from "10" to "12"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	_, keys, _ := strings.Cut(err.Error(), "--allow-change ")
	keys, _, _ = strings.Cut(keys, ", or leave")
	o.Allow = []string{keys}
	log, err := trainJob(t, o)
	if err != nil || !strings.Contains(log, `changed since the run was interrupted: optim.lr from "0.003" to "0.0001"`) || !strings.Contains(log, "going on from the checkpoint of step 10") {
		t.Errorf("with --allow-change %s: %v\n%s", keys, err, log)
	}
	if n := len(metrics(t, dir)); n != 12 {
		t.Errorf("%d lines of metrics, expected 12", n)
	}
}

// TestResumeWithAnotherText: a place in a text means nothing in another.
func TestResumeWithAnotherText(t *testing.T) {
	tmp := t.TempDir()
	text, other := filepath.Join(tmp, "text.txt"), filepath.Join(tmp, "other.txt")
	for path, line := range map[string]string{text: "one fox and two bears. ", other: "three bears and four foxes. "} {
		if err := os.WriteFile(path, []byte(strings.Repeat(line, 100)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(tmp, "run")
	_, o := tiny(t, dir, "data.synthetic=", "data.path="+text)
	if _, err := trainJob(t, o); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, kept[:len(kept)-30], 0o644); err != nil {
		t.Fatal(err)
	}
	o.Resume = true
	if _, err := trainJob(t, o); exitCode(err) != exitBadInput || !strings.Contains(err.Error(), "not that of the interrupted run") {
		t.Errorf("the text changed beneath the run: %v", err)
	}
	o.Set, o.Allow = append(o.Set, "data.path="+other, "train.steps=14"), []string{"data.path", "train.steps"}
	if log, err := trainJob(t, o); err != nil || !strings.Contains(log, "it is read from its beginning") {
		t.Errorf("another text was allowed: %v\n%s", err, log)
	}
}

// TestResumeBeforeTheFirstCheckpoint starts from the beginning, and ends as a run
// that was not interrupted.
func TestResumeBeforeTheFirstCheckpoint(t *testing.T) {
	whole, dir := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
	_, o := tiny(t, whole)
	if _, err := trainJob(t, o); err != nil {
		t.Fatal(err)
	}
	_, o = tiny(t, dir)
	crash := errors.New("crash")
	o.first = train.Hook{Name: "crash", Step: func(l *train.Loop) error {
		if l.Step == 6 {
			return crash
		}
		return nil
	}}
	if _, err := trainJob(t, o); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	log, err := trainJob(t, PretrainOptions{Resume: true, Out: dir})
	if err != nil || !strings.Contains(log, "the run has no checkpoint yet: it starts from the beginning") {
		t.Fatalf("%v\n%s", err, log)
	}
	sameRun(t, whole, dir)
	samePlans(t, whole, dir)
}
