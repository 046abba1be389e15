package lab

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/run"
)

const toyFrontier = `
train:
  model: {family: llama, layers: 2, width: 16, heads: 2, kv_heads: 1, ffn: 32, tied: true}
  data: {synthetic: stories, bytes: 40KB, validation: 0.1}
  tokenizer: {train: bytes}
  train: {steps: 30, batch: 4, context: 32, threads: 1, eval_tokens: 1024}
  teacher: {temperature: 1}
  prune: {target: 0.5x, of: prunable, events: 3}
shapes:
  - {name: thin, set: [ffn=10, layers=2]}
  - {name: flat, set: [layers=1]}
pruned:
  - {name: middle, start: 0.25, end: 0.75}
  - {name: early-kl, start: 0.05, end: 0.25, kl: true}
late:
  - {name: late-kl, share: 0.5, sequences: 4, trial_sequences: 1}
lrs: [2e-3, 1e-2]
beta2s: [0.99]
seeds: [1]
tokens_per_param: 0
repeats: 10
`

// toy is the file of a comparison that takes about two seconds of a processor.
func toy(t *testing.T, more ...string) config.Frontier {
	t.Helper()
	path := filepath.Join(t.TempDir(), "frontier.yaml")
	if err := os.WriteFile(path, []byte(toyFrontier), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := config.LoadFrontier(path, append([]string{"out=" + filepath.Join(t.TempDir(), "out")}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFrontier: interrupted in the middle of a run it goes on to the same table; every way takes
// as many operations and is another model.
func TestFrontier(t *testing.T) {
	file := toy(t)
	ctx, cancel := context.WithCancel(t.Context())
	step := func(e run.Event) {
		if s, ok := e.(run.Stepped); ok && s.Step == 20 {
			if _, err := os.Stat(filepath.Join(file.Out, "cells", "middle-lr0.002-b0.99-1.json")); err == nil {
				cancel()
			}
		}
	}
	_, err := Frontier(ctx, file, Env{Notify: func() func(run.Event) { return step }})
	if !errors.Is(err, ErrInterrupted) && !errors.As(err, new(*run.Interrupted)) {
		t.Fatalf("not interrupted: %v", err)
	}
	if part, err := os.ReadFile(filepath.Join(file.Out, "frontier.md")); err != nil || !strings.Contains(string(part), "Not finished") || !strings.Contains(string(part), "| thin |") {
		t.Errorf("what there is after an interruption: %v\n%s", err, part)
	}
	r, err := Frontier(t.Context(), file, Env{})
	if err != nil {
		t.Fatal(err)
	}
	checkWays(t, r)
	again, err := Frontier(t.Context(), file, Env{})
	if err != nil || again.Made != 0 {
		t.Fatalf("%d results made again, %v", again.Made, err)
	}
	if again.Markdown() != r.Markdown() {
		t.Error("the table differs when nothing is made")
	}
	sameAgain(t, file, r, "middle-lr0.01-b0.99-1")
	file.Train.Train.Steps++
	if _, err := Frontier(t.Context(), file, Env{}); err == nil || !strings.Contains(err.Error(), "made with other settings") {
		t.Errorf("other settings are taken: %v", err)
	}
}

// checkWays holds that every way is another model and takes as many operations.
func checkWays(t *testing.T, r *FrontierResult) {
	rows := map[string]FrontierRow{}
	losses := map[float64]string{}
	for _, x := range r.Rows {
		rows[x.Name] = x
		if len(x.Tried) != 2 || x.Loss == nil || !(x.Loss.Mean < 5) {
			t.Fatalf("%s: %+v", x.Name, x)
		}
		if x.Loss.Mean != min(*x.Tried[0].Loss, *x.Tried[1].Loss) || !x.Edge {
			t.Errorf("%s: loss %g is not the best of %v", x.Name, x.Loss.Mean, x.Tried)
		}
		if other := losses[x.Loss.Mean]; other != "" {
			t.Errorf("%s and %s have the same loss", x.Name, other)
		}
		losses[x.Loss.Mean] = x.Name
		low, high := 0.95, 1.04
		if strings.HasPrefix(x.Name, "late") {
			low, high = 0.75, 1.05 // what the cut may take and did not
		}
		if share := x.FLOPs.Mean / r.FLOPs; share > high || share < low {
			t.Errorf("%s took %.3f of the operations", x.Name, share)
		}
	}
	if len(rows) != 7 || !r.Whole {
		t.Fatalf("%d rows, complete %t", len(rows), r.Whole)
	}
	small := float64(r.Target)
	for name, between := range map[string][2]float64{ // of the average, from the pruned size to the whole
		"big": {1, 1}, "thin": {-0.2, 0.2}, "middle": {0.2, 0.6}, "early-kl": {0.05, 0.35}, "plan-new": {-0.1, 0.1}, "late-kl": {0.2, 0.75},
	} {
		x := rows[name]
		if at := (x.Average.Mean - small) / (rows["big"].Params.Mean - small); at < between[0] || at > between[1] {
			t.Errorf("%s: the average is %.2f between the pruned size and the whole, expected %v", name, at, between)
		}
		if dense := name == "big" || name == "thin" || name == "plan-new"; dense == (x.Predicted != nil) {
			t.Errorf("%s: the loss by its average is %v", name, x.Predicted)
		}
	}
	if a, b := rows["middle"], rows["plan-new"]; a.Params != b.Params || b.Tokens.Mean <= a.Tokens.Mean || b.Predicted != nil {
		t.Errorf("the plan from new weights: %+v\npruned: %+v", b, a)
	}
}

// sameAgain makes a cell that was interrupted in the middle once more, in one piece.
func sameAgain(t *testing.T, file config.Frontier, r *FrontierResult, name string) {
	t.Helper()
	for _, path := range []string{filepath.Join("cells", name+".json"), filepath.Join("runs", name)} {
		if err := os.RemoveAll(filepath.Join(file.Out, path)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Frontier(t.Context(), file, Env{})
	if err != nil || again.Made != 1 {
		t.Fatalf("%d results made, expected %s: %v", again.Made, name, err)
	}
	for i, x := range again.Rows {
		for k, try := range x.Tried {
			if *try.Loss != *r.Rows[i].Tried[k].Loss {
				t.Errorf("%s, rate %g: loss %g, was %g", x.Name, try.LR, *try.Loss, *r.Rows[i].Tried[k].Loss)
			}
		}
	}
}

// TestFrontierCounts: operations are those of the products, events come at shares of the
// operations, and what a way may not do is refused.
func TestFrontierCounts(t *testing.T) {
	f := &frontier{Frontier: toy(t), ctx: t.Context()}
	if err := f.prepare(); err != nil {
		t.Fatal(err)
	}
	const embed = 257 * 16
	products := 2. * 32 * (embed + float64(f.prunable))
	if x := f.big.forward / products; x < 1 || x > 1.35 { // attention is the rest
		t.Errorf("a forward pass takes %g operations, %.2f times those of its matrices", f.big.forward, x)
	}
	if x := f.big.step / f.big.forward; x < 2.5 || x > 3.2 {
		t.Errorf("both ways are %.2f times forward", x)
	}
	if e := f.end("middle"); e.params != f.goal.Params || e.step >= f.big.step || e.step < f.big.step/4 {
		t.Errorf("cut: %+v, the whole %+v", e, f.big)
	}
	for _, p := range f.Pruned {
		k, mean := f.schedule(p)
		before := k.Start * f.big.step / mean
		last := f.end(p.Name).step
		if p.KL {
			last += f.big.forward
		}
		if after := (1 - k.End) * last / mean; math.Abs(before-p.Start) > 0.01 || math.Abs(1-after-p.End) > 0.01 {
			t.Errorf("%s: events from %.3f to %.3f of the operations, expected %g to %g", p.Name, before, 1-after, p.Start, p.End)
		}
	}
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() { f.TokensPerParam = 20 }, "tokens a parameter"},
		{func() { f.TokensPerParam, f.Repeats = 0, 0.01 }, "would be read"},
		{func() { f.Repeats, f.Shapes[0].Set = 10, []string{"ffn=32"} }, "within a tenth"},
		{func() { f.Shapes[0].Set, f.Late[0].Sequences = []string{"ffn=10"}, 4000 }, "give sequences fewer"},
	} {
		c.change()
		if _, err := f.ways(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, expected %q", err, c.want)
		}
	}
}

// TestFrontierSettings: rates first, then beta2 with the best of them; or all with all.
func TestFrontierSettings(t *testing.T) {
	f := &frontier{Frontier: config.Frontier{LRs: []float64{1, 2, 3}, Beta2s: []float64{0.95, 0.99, 0.999}, Seeds: []uint64{7, 8}}}
	a, b := f.settings(0), f.settings(2)
	if len(a) != 3 || a[2] != (tried{3, 0.95, 7}) || len(b) != 2 || b[1] != (tried{2, 0.999, 7}) {
		t.Errorf("%v, then %v", a, b)
	}
	f.Grid = true
	if a, b = f.settings(0), f.settings(2); len(a) != 9 || len(b) != 0 {
		t.Errorf("%v, then %v", a, b)
	}
}

// TestFrontierFollows: a loss where the average says is told from one that is not, and a way
// whose training diverged has none.
func TestFrontierFollows(t *testing.T) {
	row := func(name string, params, average float64, losses ...float64) FrontierRow {
		x := FrontierRow{Name: name}
		for i, l := range losses {
			c := PaperCell{Seed: uint64(i), Figures: map[string]float64{figParams: params, figAverage: average}}
			if !math.IsNaN(l) {
				c.Figures[figLoss] = l
			}
			x.Cells = append(x.Cells, c)
		}
		return x
	}
	r := FrontierResult{Whole: true, Rows: []FrontierRow{
		row("big", 400, 400, 1.19, 1.21), row("small", 100, 100, 1.99, 2.01), row("on", 100, 200, 1.59, 1.61), row("off", 100, 200, 1.69, 1.71), row("lost", 100, 200, math.NaN(), 1),
	}}
	r.finish(1)
	on, off, lost := r.Rows[2], r.Rows[3], r.Rows[4]
	if math.Abs(*on.Predicted-1.6) > 1e-9 || !*on.Follows || *off.Follows || *r.Follow || lost.Loss != nil || lost.Follows != nil {
		t.Errorf("on %+v\noff %+v\nlost %+v", on, off, lost)
	}
	if r.Best != "on" || math.Abs(on.Behind.Mean+0.4) > 1e-9 || on.Behind.Spread > 1e-9 {
		t.Errorf("best %s, over the small one %+v", r.Best, on.Behind)
	}
	for _, want := range []string{"| 1.6000 ± 0.0141 | -0.4000 ± 0.0000 |", "(**not so**)", "diverged", "does not follow"} {
		if !strings.Contains(r.Markdown(), want) {
			t.Errorf("the table lacks %q:\n%s", want, r.Markdown())
		}
	}
}
