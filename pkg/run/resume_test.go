package run

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/train"
)

// TestResumeNamesEveryChange: all keys that differ are in one message, and can be
// allowed in one list.
func TestResumeNamesEveryChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c, o := tiny(t, dir), Options{}
	if _, err := trained(t, c, o); err != nil {
		t.Fatal(err)
	}
	o.Mode, c.Optim.Clip, c.Optim.LR, c.Train.Steps = Continue, 0.5, 1e-4, 12
	_, err := trained(t, c, o)
	var changed *ChangedError
	if fault.Of(err) != fault.Config || !errors.As(err, &changed) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{`optim.clip from "1" to "0.5"`, `optim.lr from "0.003" to "0.0001"`, `train.steps from "10" to "12"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	o.Allow = []string{strings.Join(changed.Keys(), ",")}
	log, err := trained(t, c, o)
	if r := told[Resumed](log); err != nil || !strings.Contains(log.String(), `changed since the run was interrupted: optim.lr from "0.003" to "0.0001"`) || len(r) != 1 || r[0].Step != 10 {
		t.Errorf("with %s allowed: %v\n%s", o.Allow, err, log)
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
	c := tiny(t, dir, "data.synthetic=", "data.path="+text)
	stopAt(t, c, 6)
	kept, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, kept[:len(kept)-30], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := resumed(t, dir, Options{}); fault.Of(err) != fault.Input || !strings.Contains(err.Error(), "not that of the interrupted run") {
		t.Errorf("the text changed beneath the run: %v", err)
	}
	c.Data.Path = other
	if _, err := trained(t, c, Options{Mode: Continue}); fault.Of(err) != fault.Config || !strings.Contains(err.Error(), "data.path") {
		t.Errorf("another text that was not allowed: %v", err)
	}
	o := Options{Mode: Continue, Allow: []string{"data.path"}}
	if log, err := trained(t, c, o); err != nil || !strings.Contains(log.String(), "it is read from its beginning") {
		t.Errorf("another text was allowed: %v\n%s", err, log)
	}
}

// TestResumeBeforeTheFirstCheckpoint starts from the beginning, which it says with what that
// repeats, and ends as a run that was not interrupted.
func TestResumeBeforeTheFirstCheckpoint(t *testing.T) {
	whole, dir := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
	c, o := tiny(t, whole), Options{}
	c.Tokenizer.Train, c.Tokenizer.Vocab = "bpe", 280
	if _, err := trained(t, c, o); err != nil {
		t.Fatal(err)
	}
	c.Out = dir
	crash := errors.New("crash")
	o.Before = train.Hook{Name: "crash", Step: func(l *train.Loop) error {
		if l.Step == 6 {
			return crash
		}
		return nil
	}}
	if _, err := trained(t, c, o); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	log, err := resumed(t, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the run has no checkpoint yet: it starts from the beginning", "training a BPE tokenizer of 280 ids on 18.6 KiB of text"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("nobody says %q:\n%s", want, log)
		}
	}
	sameRun(t, whole, dir)
	samePlans(t, whole, dir)
}

// stopAt trains a run until a step, at which it is interrupted.
func stopAt(t testing.TB, c config.Run, step int) *journal {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	log, err := trainedUntil(ctx, c, Options{Before: train.Hook{Name: "stop", Step: func(l *train.Loop) error {
		if l.Step == step {
			stop()
		}
		return nil
	}}})
	var at *Interrupted
	if !errors.As(err, &at) || at.Step != step || at.Steps != c.Train.Steps || !at.Saved {
		t.Fatalf("interrupted at step %d: %v\n%s", step, err, log)
	}
	return log
}

// files hashes all files of a directory, by name, with times of change.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = fmt.Sprintf("%x %v", sha256.Sum256(b), st.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestResumeOfACopy trains the copy, and leaves the run alone that it was made from.
// The copy, renamed once more, ends as a run that was not interrupted.
func TestResumeOfACopy(t *testing.T) {
	tmp := t.TempDir()
	whole, original, copied := filepath.Join(tmp, "whole"), filepath.Join(tmp, "original"), filepath.Join(tmp, "elsewhere", "copy ü")
	if _, err := trained(t, tiny(t, whole), Options{}); err != nil {
		t.Fatal(err)
	}
	stopAt(t, tiny(t, original), 4)
	before := files(t, original)
	if err := os.CopyFS(copied, os.DirFS(original)); err != nil { // links as links
		t.Fatal(err)
	}
	moved := copied + "-moved"
	if err := os.Rename(copied, moved); err != nil {
		t.Fatal(err)
	}
	if log, err := resumed(t, moved, Options{}); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	sameRun(t, whole, moved)
	if after := files(t, original); !maps.Equal(before, after) {
		t.Error("resuming the copy changed the run that it was made from")
	}
	if c, err := Config(moved); err != nil || c.Out != moved {
		t.Errorf("out is %q (%v), expected %s", c.Out, err, moved)
	}
}

// TestResumeOfAFinishedRun changes nothing; with more steps it is trained longer, and
// its pruning events stay where they were.
func TestResumeOfAFinishedRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c := tiny(t, dir, "prune.end=0.9")
	if _, err := trained(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	for _, mode := range []Mode{Continue, Auto} {
		if _, err := trained(t, c, Options{Mode: mode}); !errors.Is(err, ErrFinished) {
			t.Errorf("error %v, expected that the run is finished", err)
		}
	}
	if after := files(t, dir); !maps.Equal(before, after) {
		t.Error("resuming a finished run changed it")
	}
	if err := os.Remove(filepath.Join(dir, train.SummaryFile)); err != nil { // killed before the summary was written
		t.Fatal(err)
	}
	if _, err := resumed(t, dir, Options{}); err != nil {
		t.Error(err)
	}
	for _, steps := range []int{20, 30} {
		c, err := Config(dir)
		if err != nil {
			t.Fatal(err)
		}
		c.Train.Steps = steps
		log, err := trained(t, c, Options{Mode: Continue, Allow: []string{"train.steps"}})
		if err != nil || len(told[Stepped](log)) != 10 || len(told[Pruned](log)) != 0 {
			t.Errorf("trained to step %d: %d steps, %d pruning events: %v", steps, len(told[Stepped](log)), len(told[Pruned](log)), err)
		}
	}
	if n := len(metrics(t, dir)); n != 30 {
		t.Errorf("%d lines of metrics, expected 30", n)
	}
}

// TestLongerRunKeepsItsPruningEvents: a run that is made longer before they are all
// made prunes at the steps that it would have pruned at.
func TestLongerRunKeepsItsPruningEvents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c := tiny(t, dir, "prune.start=0.2", "prune.end=0.8")
	stopAt(t, c, 4)
	c.Train.Steps = 40
	log, err := trained(t, c, Options{Mode: Continue, Allow: []string{"train.steps"}})
	if p := told[Pruned](log); err != nil || len(p) != 1 || p[0].Step != 8 {
		t.Errorf("pruned %v: %v\n%s", p, err, log)
	}
}

// TestResumeOrStart: one call starts a run, goes on with it, and finds it finished.
func TestResumeOrStart(t *testing.T) {
	c := tiny(t, filepath.Join(t.TempDir(), "run"))
	ctx, stop := context.WithCancel(t.Context())
	o := Options{Mode: Auto, Before: train.Hook{Name: "stop", Step: func(l *train.Loop) error {
		if l.Step == 5 {
			stop()
		}
		return nil
	}}}
	if _, err := trainedUntil(ctx, c, o); !errors.As(err, new(*Interrupted)) {
		t.Fatal(err)
	}
	log, err := trained(t, c, Options{Mode: Auto})
	if r := told[Resumed](log); err != nil || len(r) != 1 || r[0].Step != 5 || len(told[Stepped](log)) != 5 {
		t.Errorf("%v\n%s", err, log)
	}
	if _, err := trained(t, c, Options{Mode: Auto}); !errors.Is(err, ErrFinished) {
		t.Error(err)
	}
	if _, err := trained(t, tiny(t, filepath.Join(t.TempDir(), "none")), Options{Mode: Continue}); !errors.Is(err, ErrNoRun) {
		t.Errorf("error %v, expected that there is no run", err)
	}
}

// TestResumeWithoutTheBase: a fine-tuning has all that it needs in its own checkpoint,
// and its data may have another name.
func TestResumeWithoutTheBase(t *testing.T) {
	for _, more := range [][]string{nil, {"lora.rank=2"}} {
		tmp := t.TempDir()
		base, text := filepath.Join(tmp, "base"), filepath.Join(tmp, "text.txt")
		if _, err := trained(t, tiny(t, base), Options{}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(text, []byte(strings.Repeat("one fox and two bears. ", 100)), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse([]byte("train: {steps: 8, batch: 2, threads: 1, sample: 0, eval_every: 100}"), append(more, "from="+base, "data.path="+text, "out="+filepath.Join(tmp, "run")))
		if err != nil {
			t.Fatal(err)
		}
		stopAt(t, c, 3)
		renamed := filepath.Join(tmp, "renamed.txt")
		if err := errors.Join(os.RemoveAll(base), os.Rename(text, renamed)); err != nil {
			t.Fatal(err)
		}
		if c, err = Config(c.Out); err != nil {
			t.Fatal(err)
		}
		c.Data.Path = renamed
		log, err := trained(t, c, Options{Mode: Continue})
		if err != nil || len(told[Stepped](log)) != 5 || !strings.Contains(log.String(), "the training data are the same") {
			t.Errorf("%v: %v\n%s", more, err, log)
		}
	}
}

// TestFailedStartsLeaveNothing: a run that does not begin makes no directory, not even
// those above it.
func TestFailedStartsLeaveNothing(t *testing.T) {
	for name, more := range map[string][]string{
		"a run file that makes no sense": {"train.steps=0"},
		"a text that is not there":       {"data.synthetic=", "data.path=/nowhere/text.txt"},
		"a context that is too long":     {"model.context=8"},
		"a tokenizer that is not there":  {"tokenizer.path=/nowhere/tokenizer.json"},
	} {
		dir := filepath.Join(t.TempDir(), "runs")
		if _, err := trained(t, tiny(t, filepath.Join(dir, "deep", "run"), more...), Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: %s was left behind", name, dir)
		}
	}
}

// TestNothingToLearn: a batch of prompts only is an error before the first step.
func TestNothingToLearn(t *testing.T) {
	tmp := t.TempDir()
	base, text := filepath.Join(tmp, "base"), filepath.Join(tmp, "pairs.jsonl")
	if _, err := trained(t, tiny(t, base), Options{}); err != nil {
		t.Fatal(err)
	}
	line := `{"prompt": "` + strings.Repeat("a long question ", 60) + `", "response": " x"}` + "\n"
	if err := os.WriteFile(text, []byte(strings.Repeat(line, 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse([]byte("train: {steps: 20, batch: 1, context: 16, sample: 0, threads: 1}\ndata: {prompt: prompt, field: response, pack: stream}"),
		[]string{"from=" + base, "data.path=" + text, "out=" + filepath.Join(tmp, "run")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trained(t, c, Options{}); fault.Of(err) != fault.Input || !strings.Contains(err.Error(), "no token to predict") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(c.Out); err == nil {
		t.Error("the run was begun")
	}
}

// TestInterruptedBeforeTheFirstStep: there is nothing to save, and nothing is left.
func TestInterruptedBeforeTheFirstStep(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	c := tiny(t, filepath.Join(t.TempDir(), "runs", "run"))
	var at *Interrupted
	if _, err := trainedUntil(ctx, c, Options{}); !errors.As(err, &at) {
		t.Fatal(err)
	} else if _, err := os.Stat(filepath.Dir(c.Out)); at.Saved != (err == nil) { // reading may have been faster
		t.Errorf("%v, but: %v", at, err)
	}
}

// TestEpochs: passes over the data become steps, which the run file in the directory
// says; the same run file goes on with the run.
func TestEpochs(t *testing.T) {
	c := tiny(t, filepath.Join(t.TempDir(), "run"), "train.steps=0", "train.epochs=0.05", "prune.target=")
	log, err := trained(t, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	training := told[Preflight](log)[0].Training
	want := int(math.Ceil(0.05 * float64((training-1)/16) / 2))
	if n := len(told[Stepped](log)); n != want || n < 10 {
		t.Errorf("%d steps of %d tokens, expected %d", n, training, want)
	}
	if r, err := Config(c.Out); err != nil || r.Train.Steps != want || r.Train.Epochs != 0 {
		t.Errorf("run.yaml says %d steps and %g epochs (%v)", r.Train.Steps, r.Train.Epochs, err)
	}
	if log, err := trained(t, c, Options{Mode: Continue}); err != nil || len(told[Stepped](log)) != 0 {
		t.Errorf("gone on with: %v\n%s", err, log)
	}
}

// TestResumeInEveryManner: weights of bfloat16, updates during the backward pass and every
// optimizer's state go on to the same bits, pruning events included.
func TestResumeInEveryManner(t *testing.T) {
	for _, manner := range [][]string{
		{"optim.name=apollo", "optim.in_backward=true", "train.weights=bf16", "optim.rank=2", "train.recompute=layer"},
		{"optim.name=adamw", "optim.in_backward=true", "optim.clip=0.1"},
		{"optim.name=muon", "train.weights=bf16"},
		{"model.layers=4", "prune.kinds=[layer, ffn]", "prune.allocation=uniform", "prune.target=0.6x", "optim.name=muon"}, // whole layers go
	} {
		whole, dir := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
		if _, err := trained(t, tiny(t, whole, manner...), Options{}); err != nil {
			t.Fatal(err)
		}
		stopAt(t, tiny(t, dir, manner...), 4)
		if log, err := resumed(t, dir, Options{}); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		sameRun(t, whole, dir)
		samePlans(t, whole, dir)
		b, err := bundle.Open(dir, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if manner[0] == "model.layers=4" && (b.Set.Layers() == 4 || len(b.Model.Specs()) != len(b.Set.Params)) {
			t.Errorf("the run has %d layers", b.Set.Layers())
		}
		b.Close()
	}
}
