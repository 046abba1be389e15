package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/config"
)

// tinyModel is a trained model of bytes.
func tinyModel(t *testing.T, more ...string) string {
	t.Helper()
	base := filepath.Join(t.TempDir(), "base")
	if _, err := trained(t, tiny(t, base, append([]string{"model.width=32", "model.context=64", "train.context=64", "prune.target="}, more...)...), Options{}); err != nil {
		t.Fatal(err)
	}
	return base
}

// pairFile is a file of pairs: of two words one is preferred, whatever is asked.
func pairFile(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for i := range 24 {
		fmt.Fprintf(&b, `{"prompt":"who %d?","chosen":"the fox","rejected":"a bear or so"}`+"\n", i)
	}
	fmt.Fprintln(&b, `{"prompt":"who?","chosen":"same","rejected":"same"}`)
	path := filepath.Join(t.TempDir(), "pairs.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func preferring(t *testing.T, base, data, dir string, more ...string) config.Run {
	t.Helper()
	c, err := config.Parse(nil, append([]string{
		"from=" + base, "data.path=" + data, "data.template=plain", "data.cache=" + filepath.Join(filepath.Dir(data), "cache"), "out=" + dir, "train.steps=12", "train.batch=4",
		"train.context=48", "train.sample=0", "train.threads=1", "train.eval_every=6", "optim.lr=2e-3", "optim.warm_up=0", "preference.loss=dpo",
	}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rewardsOf is a value of a line's rewards.
func rewardsOf(line map[string]any, key, of string) float64 {
	r, _ := line[key].(map[string]any)
	v, ok := r[of].(float64)
	if !ok {
		return math.NaN()
	}
	return v
}

// TestPreference: a run learns to prefer, by both losses, with adapters, with micro-batches and while
// it prunes; the reference is measured once; it resumes to the same bits.
func TestPreference(t *testing.T) {
	base, data := tinyModel(t), pairFile(t)
	at := func(name string) string { return filepath.Join(filepath.Dir(data), name) }
	log, err := trained(t, preferring(t, base, data, at("dpo")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"21 pairs of answers in ", "1 records skipped: nothing to compare", "reference log-likelihoods of 21 pairs measured", "% of pairs in order (3 pairs)"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, log)
		}
	}
	lines := metrics(t, at("dpo"))
	first, last := lines[0], lines[len(lines)-1]
	// The model is its own reference before the first step: margin 0, loss log 2.
	if loss := first["loss"].(float64); math.Abs(loss-math.Ln2) > 1e-5 || math.Abs(rewardsOf(first, "rewards", "margin")) > 1e-4 {
		t.Errorf("the first step has loss %g and rewards %v", loss, first["rewards"])
	}
	if last["loss"].(float64) > 0.6 || !(rewardsOf(last, "rewards", "margin") > 0.1) || rewardsOf(last, "val_rewards", "accuracy") != 1 {
		t.Errorf("the last step has %v", last)
	}
	if log, err := trained(t, preferring(t, base, data, at("micro"), "train.micro_batch=2"), Options{}); err != nil || !strings.Contains(log.String(), "21 pairs read from ") {
		t.Fatalf("%v\n%s", err, log)
	}
	for i, line := range metrics(t, at("micro")) { // sums in another order
		if a, b := line["loss"].(float64), lines[i]["loss"].(float64); math.Abs(a-b) > 1e-4 {
			t.Errorf("step %d: loss %g with micro-batches, %g without", i+1, a, b)
		}
	}
	stopAt(t, preferring(t, base, data, at("stopped")), 5)
	if _, err := resumed(t, at("stopped"), Options{}); err != nil {
		t.Fatal(err)
	}
	sameRun(t, at("dpo"), at("stopped"))
	for name, more := range map[string][]string{
		"simpo":  {"preference.loss=simpo"},
		"lora":   {"lora.rank=4", "optim.lr=2e-2"},
		"pruned": {"prune.target=0.8x", "prune.of=prunable", "prune.events=1"},
		"update": {"optim.in_backward=true"},
	} {
		if _, err := trained(t, preferring(t, base, data, at(name), more...), Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		lines := metrics(t, at(name))
		if last := lines[len(lines)-1]; !(last["loss"].(float64) < lines[0]["loss"].(float64)-0.02) || !(rewardsOf(last, "rewards", "margin") > rewardsOf(lines[0], "rewards", "margin")) {
			t.Errorf("%s: from %v to %v", name, lines[0], last)
		}
	}
	// A pruned model, with the whole one as its reference.
	c := preferring(t, at("pruned"), data, at("two"), "preference.reference="+base)
	if _, err := trained(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	if first := metrics(t, at("two"))[0]; math.Abs(first["loss"].(float64)-math.Ln2) < 1e-4 {
		t.Errorf("a pruned model is its reference: %v", first)
	}
}

// TestPreferenceRefuses: what does not go together is said by key.
func TestPreferenceRefuses(t *testing.T) {
	base, data := tinyModel(t), pairFile(t)
	for want, c := range map[string]config.Run{
		"preference.loss is \"ipo\"":             preferring(t, base, data, t.TempDir(), "preference.loss=ipo"),
		"expected even numbers":                  preferring(t, base, data, t.TempDir(), "train.micro_batch=1"),
		"only dpo has a reference":               preferring(t, base, data, t.TempDir(), "preference.loss=simpo", "preference.reference="+base),
		"data.overflow split do not apply":       preferring(t, base, data, t.TempDir(), "data.max_length=20", "data.overflow=split"),
		"train.label_smoothing":                  preferring(t, base, data, t.TempDir(), "train.label_smoothing=0.1"),
		"preference.loss (finetune --preference": preferring(t, base, data, t.TempDir(), "preference.loss="),
	} {
		if _, err := trained(t, c, Options{Force: true}); fault.Of(err) == fault.Failure || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}

// TestAverage: averaged weights are evaluated beside the raw ones, pruned with them, saved and
// resumed to the same bits, and written at the end.
func TestAverage(t *testing.T) {
	tmp := t.TempDir()
	whole, dir := filepath.Join(tmp, "whole"), filepath.Join(tmp, "run")
	c := tiny(t, whole, "train.ema=0.8", "train.eval_every=5", "logging.layers_every=2")
	if _, err := trained(t, c, Options{}); err != nil {
		t.Fatal(err)
	}
	c.Out = dir
	stopAt(t, c, 7)
	if _, err := resumed(t, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	sameRun(t, whole, dir)
	a, erra := os.ReadFile(filepath.Join(whole, emaDir, "model.safetensors"))
	b, errb := os.ReadFile(filepath.Join(dir, emaDir, "model.safetensors"))
	if erra != nil || errb != nil || string(a) != string(b) {
		t.Errorf("the averaged weights differ (%v, %v)", erra, errb)
	}
	raw, err := os.ReadFile(filepath.Join(whole, "model.safetensors"))
	if err != nil || string(raw) == string(a) || len(raw) != len(a) {
		t.Errorf("the averaged weights are %d bytes, the raw ones %d, expected as many and others (%v)", len(a), len(raw), err)
	}
	lines, again := metrics(t, whole), metrics(t, dir)
	seen := 0
	for i, line := range lines {
		if line["val_loss_ema"] != again[i]["val_loss_ema"] {
			t.Errorf("step %d: the averaged loss is %v, expected %v", i+1, again[i]["val_loss_ema"], line["val_loss_ema"])
		}
		if line["val_loss_ema"] != nil {
			seen++
			if line["val_loss_ema"] == line["val_loss"] {
				t.Errorf("step %d: averaged and raw weights have the same loss", i+1)
			}
		}
		layers, _ := line["layers"].([]any)
		if due := (i+1)%2 == 0; due != (len(layers) > 1) {
			t.Errorf("step %d has %d layers", i+1, len(layers))
			continue
		}
		squares := 0.0
		for _, l := range layers {
			n := l.(map[string]any)
			squares += n["grad"].(float64) * n["grad"].(float64)
			if u := n["update"].(float64); !(u > 0 && u < 1) {
				t.Errorf("step %d: update ratio %g of %s", i+1, u, n["name"])
			}
		}
		if norm := line["grad_norm"].(float64); len(layers) > 0 && math.Abs(math.Sqrt(squares)-norm) > 1e-4*norm {
			t.Errorf("step %d: the layers' norms make %g, the step's is %g", i+1, math.Sqrt(squares), norm)
		}
	}
	if seen < 2 {
		t.Errorf("%d evaluations of averaged weights", seen)
	}
}

// TestFindLR: a range test says a rate at which the loss falls and leaves nothing.
func TestFindLR(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	log := &journal{}
	curve, err := FindLR(t.Context(), tiny(t, dir, "train.batch=4"), Options{Notify: log.add}, 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a test of rates left %s (%v)", dir, err)
	}
	if curve.Suggested < 1e-5 || curve.Suggested > 0.3 || curve.Lowest <= curve.Suggested || len(curve.Points) < 20 {
		t.Errorf("suggested %g, lowest %g of %d steps", curve.Suggested, curve.Lowest, len(curve.Points))
	}
	for i := 1; i < len(curve.Points); i++ {
		if r := curve.Points[i].LR / curve.Points[i-1].LR; math.Abs(r-math.Pow(1e6, 1.0/59)) > 1e-6 {
			t.Fatalf("the rate grows by %g at step %d", r, i)
		}
	}
	if text := curve.String(); !strings.Contains(text, "Suggested: --set optim.lr=") {
		t.Errorf("%q", text)
	}
	ctx, stop := context.WithCancel(t.Context())
	o := Options{Notify: func(e Event) {
		if s, ok := e.(Stepped); ok && s.Step == 3 {
			stop()
		}
	}}
	if _, err := FindLR(ctx, tiny(t, dir), o, 60); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "saved") {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := FindLR(t.Context(), tiny(t, dir), Options{}, 5); fault.Of(err) != fault.Config {
		t.Errorf("5 steps: %v", err)
	}
}
