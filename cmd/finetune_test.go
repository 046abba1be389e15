package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/run"
	"github.com/ecospa/ecospa/pkg/train"
	"github.com/ecospa/ecospa/pkg/workload"
)

// tune is a short fine-tuning run on top of a model.
func tune(from, data, out string, more ...string) []string {
	args := []string{"ecospa", "finetune", "--from", from, "--data", data, "--out", out}
	for _, s := range append([]string{"train.steps=24", "train.batch=4", "train.context=32", "train.eval_every=6", "train.sample=4", "train.threads=2", "optim.lr=3e-3"}, more...) {
		args = append(args, "--set", s)
	}
	return args
}

func loss(t *testing.T, model, text string) float64 {
	t.Helper()
	out, _ := mustRun(t, "ecospa", "eval", "--model", model, "--data", text, "--context", "32", "--json")
	var r workload.TextResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r.Loss
}

func TestFinetune(t *testing.T) {
	tmp := t.TempDir()
	at := func(name string) string { return filepath.Join(tmp, name) }
	mustRun(t, small(at("base"))...)
	mustRun(t, small(at("other"), "tokenizer.vocab=290", "train.steps=2")...)
	text := at("text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("A crow sat on the wall. The crow had a nut. A dog came by and saw the nut.\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	before := loss(t, at("base"), text)
	weights := func(dir string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	source := weights(at("base"))

	pruning := []string{"prune.target=0.8x", "prune.of=prunable", "prune.events=1"}
	for name, c := range map[string]struct {
		more []string
		by   float64 // nats that are learned at least
	}{
		"full":    {pruning, 0.8},
		"lora":    {append([]string{"lora.rank=8", "lora.alpha=32", "optim.lr=2e-2"}, pruning...), 0.01}, // embeddings and head stay as they are
		"teacher": {[]string{"teacher.model=" + at("base"), "teacher.weight=0.3"}, 0.5},
	} {
		args := tune(at("base"), text, at(name), c.more...)
		if name == "lora" {
			args = append(args, "--merge")
		}
		_, log := mustRun(t, args...)
		after := loss(t, at(name), text)
		if !(after < before-c.by) {
			t.Errorf("%s: loss %g, before %g", name, after, before)
		}
		if name == "lora" {
			if _, err := os.Stat(filepath.Join(at(name), "adapter", bundle.AdapterGGUF)); (err == nil) == strings.Contains(log, bundle.AdapterGGUF+" is not written") {
				t.Errorf("%s: %v, and the log says\n%s", bundle.AdapterGGUF, err, log)
			}
			for _, dir := range []string{"adapter", "merged"} {
				// Merging rounds each weight once more.
				if got := loss(t, filepath.Join(at(name), dir), text); math.Abs(got-after) > 1e-5 {
					t.Errorf("%s has loss %g, the run %g", dir, got, after)
				}
			}
		}

		// Interrupted after 15 steps and resumed, the run ends with the same bytes.
		again := at(name + "-again")
		ctx, stop := context.WithCancel(t.Context())
		o := run.Request{From: at("base"), Data: text, Out: again, Finetune: true}
		for i, a := range args {
			if a == "--set" {
				o.Set = append(o.Set, args[i+1])
			}
		}
		c, err := o.File()
		if err != nil {
			t.Fatal(err)
		}
		j, err := run.Start(ctx, c, run.Options{Before: train.Hook{Name: "stop", Step: func(l *train.Loop) error {
			if l.Step == 15 {
				stop()
			}
			return nil
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Train(ctx); exitCode(err) != exitInterrupted {
			t.Fatalf("%s: interrupted: %v", name, err)
		}
		j.Close()
		mustRun(t, "ecospa", "finetune", "--resume", "--out", again)
		if !bytes.Equal(weights(at(name)), weights(again)) {
			t.Errorf("%s: interrupted and resumed the weights differ", name)
		}
		if got := loss(t, again, text); got != after {
			t.Errorf("%s: interrupted and resumed the loss is %g, expected %g", name, got, after)
		}
	}
	if !bytes.Equal(source, weights(at("base"))) {
		t.Error("the source has changed")
	}

	// Patience ends a run that learns nothing; the best checkpoint is kept.
	_, display := mustRun(t, tune(at("base"), text, at("early"), "optim.lr=1e-12", "train.patience=2", "train.min_delta=0.01", "checkpoint.keep_best=true")...)
	if n := len(metrics(t, at("early"))); n != 12 || !strings.Contains(display, "2 evaluations in a row") {
		t.Errorf("patience of 2 evaluations, every 6 steps: %d steps\n%s", n, display)
	}
	if got := loss(t, filepath.Join(at("early"), "best"), text); math.Abs(got-before) > 1e-3 {
		t.Errorf("the best checkpoint has loss %g, expected %g", got, before)
	}

	// Prompts are read and not learned; eval counts the responses alone.
	pairs := at("pairs.jsonl")
	if err := os.WriteFile(pairs, []byte(strings.Repeat(`{"prompt":"Who sat on the wall?","response":" The crow sat on the wall."}`+"\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	asked := func(dir string) workload.TextResult {
		out, _ := mustRun(t, "ecospa", "eval", "--model", dir, "--data", pairs, "--field", "response", "--prompt-field", "prompt", "--json")
		var r workload.TextResult
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	mustRun(t, tune(at("base"), pairs, at("answers"), "data.field=response", "data.prompt=prompt")...)
	whole, _ := mustRun(t, "ecospa", "eval", "--model", at("answers"), "--data", pairs, "--field", "response", "--json")
	var all workload.TextResult
	if err := json.Unmarshal([]byte(whole), &all); err != nil {
		t.Fatal(err)
	}
	// Every response but for the first token of a text without prompts.
	if a, b := asked(at("answers")), asked(at("base")); a.Loss > b.Loss-1 || a.Tokens != all.Tokens+1 {
		t.Errorf("responses have loss %g after and %g before, %d tokens, expected %d", a.Loss, b.Loss, a.Tokens, all.Tokens+1)
	}

	refused(t, []bad{
		{"prompts of plain text", tune(at("base"), text, at("x"), "data.prompt=prompt"), 3, []string{"prompt", "records"}},
		{"no data", []string{"ecospa", "finetune", "--from", at("base"), "--out", at("x")}, 2, []string{"--data"}},
		{"no model", tune(at("nothing"), text, at("x")), 3, []string{"nothing"}},
		{"over the source", tune(at("base"), text, at("base"), "train.steps=1"), 2, []string{"another"}},
		{"model section", tune(at("base"), text, at("x"), "model.layers=3"), 2, []string{"from", "model"}},
		{"merge without adapters", append(tune(at("base"), text, at("x")), "--merge"), 2, []string{"--merge", "lora.rank"}},
		{"adapters without rank", tune(at("base"), text, at("x"), "lora.alpha=2"), 2, []string{"lora.rank"}},
		{"target", tune(at("base"), text, at("x"), "lora.rank=2", "lora.targets=[heads]"), 2, []string{"heads", "attention"}},
		{"teacher's words", tune(at("base"), text, at("x"), "teacher.model="+at("other")), 3, []string{"other", "tokenizer"}},
		{"teacher's weight", tune(at("base"), text, at("x"), "teacher.model="+at("base"), "teacher.weight=2"), 2, []string{"teacher.weight", "2"}},
		{"from in pretrain", append(small(at("x")), "--set", "from="+at("base")), 2, []string{"from"}},
	})
}
