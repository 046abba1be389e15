package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/bundle"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/train"
)

// report prints what came of the run: the model before and after pruning, a
// few lines of its own, where the files are and what to type next.
func (j *job) report(out io.Writer) error {
	after := j.snapshot(j.loop)
	fmt.Fprintln(out)
	j.printTable(out, after)
	sum := train.Summary{Version: Version, Path: kernelPath(), Threads: j.pool.Threads(), Before: j.before, After: after}
	_, sum.PeakRSS = sysmem.Resident()
	if h := j.entropyPerToken(); !math.IsNaN(h) && after.ValLoss != nil {
		sum.Entropy = &h
		fmt.Fprintf(out, "\nThe corpus's entropy is %.4f nats a token: the best possible perplexity is %.3f, the model's loss is %.4f above it.\n", h, math.Exp(h), *after.ValLoss-h)
	}
	if j.run.Train.Sample > 0 && len(j.held) > 0 {
		text, err := j.sample()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\nThe model writes:\n\n%s\n", text)
		sum.Sample = text
	}
	dir := j.run.Out
	if err := j.writeSummary(sum); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nFiles      %s (a model directory), %s\n", dir, filepath.Join(dir, "{run.yaml,metrics.jsonl,summary.json,plans/,state/}"))
	if j.pics != nil {
		fmt.Fprintf(out, "Next       ecospa inspect --model %s\n           ecospa eval --model %s --data IMAGES\n", dir, dir)
		return nil
	}
	fmt.Fprintf(out, "Next       ecospa inspect --model %s\n           ecospa eval --model %s --data FILE\n           ecospa generate --model %s --prompt \"One day\"\n", dir, dir, dir)
	return nil
}

func (j *job) writeSummary(s train.Summary) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(filepath.Join(j.run.Out, train.SummaryFile), append(text, '\n'))
}

func (j *job) printTable(out io.Writer, after train.Snapshot) {
	before := j.before
	head := []string{""}
	if before != nil {
		head = append(head, fmt.Sprintf("before pruning (step %d)", before.Step), fmt.Sprintf("at the end (step %d)", after.Step), "ratio")
	} else {
		head = append(head, fmt.Sprintf("at the end (step %d)", after.Step))
	}
	t := newTable(head...)
	row := func(name string, value func(train.Snapshot) float64, show func(float64) string) {
		a := value(after)
		if before == nil {
			t.add(name, show(a))
			return
		}
		b := value(*before)
		t.add(name, show(b), show(a), fmt.Sprintf("%.2f", a/b))
	}
	bytes := func(f float64) string { return units.Bytes(int64(f)) }
	row("parameters", func(s train.Snapshot) float64 { return float64(s.Params) }, func(f float64) string { return fmt.Sprintf("%.0f", f) })
	for _, m := range []struct {
		name string
		of   func(train.Memory) int64
	}{
		{"planned memory", train.Memory.Total}, {"  weights", func(m train.Memory) int64 { return m.Weights }},
		{"  gradients", func(m train.Memory) int64 { return m.Gradients }}, {"  moments", func(m train.Memory) int64 { return m.Moments }},
		{"  activations", func(m train.Memory) int64 { return m.Activations }},
	} {
		row(m.name, func(s train.Snapshot) float64 { return float64(m.of(s.Memory)) }, bytes)
	}
	row("resident memory", func(s train.Snapshot) float64 { return float64(s.RSS) }, bytes)
	row("milliseconds a step", func(s train.Snapshot) float64 { return s.Ms }, func(f float64) string { return fmt.Sprintf("%.1f", f) })
	rate := "tokens/s"
	if j.pics != nil {
		rate = "images/s"
	}
	row(rate, func(s train.Snapshot) float64 { return s.TokensPerS }, func(f float64) string { return fmt.Sprintf("%.0f", f) })
	switch {
	case after.ValTop1 != nil:
		row("validation loss, nats", func(s train.Snapshot) float64 { return *s.ValLoss }, func(f float64) string { return fmt.Sprintf("%.4f", f) })
		row("validation top-1, %", func(s train.Snapshot) float64 { return 100 * *s.ValTop1 }, func(f float64) string { return fmt.Sprintf("%.2f", f) })
	case after.ValLoss != nil:
		row("validation perplexity", train.Snapshot.Perplexity, func(f float64) string { return fmt.Sprintf("%.3f", f) })
	}
	t.print(out)
	_, peak := sysmem.Resident()
	fmt.Fprintf(out, "peak resident memory %s\n", units.Bytes(peak))
}

// sample lets the model go on from the first words of the held-out text.
func (j *job) sample() (string, error) {
	n := min(8, len(j.held), j.m.Context()-1)
	prompt := j.held.IDs(0, n)
	want := min(j.run.Train.Sample, j.m.Context()-n)
	s, err := infer.NewSampler(infer.SamplerConfig{Temperature: 0.7, TopP: 0.95, Seed: j.run.Train.Seed})
	if err != nil {
		return "", err
	}
	o := infer.GenerateOptions{Tokens: want, Ends: []int32{j.tok.EOS()}, Never: (&bundle.Bundle{Model: j.m, Tokenizer: j.tok}).Unused(), Threads: j.pool.Threads()}
	ids, err := infer.Generate(context.Background(), j.m, j.set, prompt, s, o, nil)
	if err != nil {
		return "", err
	}
	text, err := j.tok.Decode(nil, append(append([]int32(nil), prompt...), ids...))
	return string(text), err
}
