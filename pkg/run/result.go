package run

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/train"
)

// String is the model before and after pruning, a few lines of its own, where the files
// are and what to type next.
func (r *Result) String() string {
	out := &strings.Builder{}
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	sum, dir := r.Summary, r.Dir
	line("")
	printSnapshots(out, r)
	line("peak resident memory %s", units.Bytes(sum.PeakRSS))
	if sum.Load > 0 {
		line("the machine was busy (load %.1f): times and speeds say little", sum.Load)
	}
	if sum.Entropy != nil {
		line("\nThe corpus's entropy is %.4f nats a token: the best possible perplexity\nis %.3f, the model's loss is %.4f above it.",
			*sum.Entropy, math.Exp(*sum.Entropy), *sum.After.ValLoss-*sum.Entropy)
	}
	if sum.Sample != "" {
		line("\nThe model writes:\n\n%s", sum.Sample)
	}
	files := "{run.yaml,metrics.jsonl,summary.json,state/}"
	if r.Pruned {
		files = "{run.yaml,metrics.jsonl,summary.json,plans/,state/}"
	}
	line("\nFiles      %s (a model directory), %s", dir, filepath.Join(dir, files))
	word := units.ShellWord(dir)
	switch {
	case r.Images:
		line("Next       ecospa inspect --model %s\n           ecospa eval --model %s --data IMAGES", word, word)
	case r.Encoder:
		line("Next       ecospa inspect --model %s\n           ecospa eval --model %s --data FILE\n           ecospa embed --model %s --data FILE --out vectors.npy --pooling mean", word, word, word)
	default:
		line("Next       ecospa inspect --model %s\n           ecospa eval --model %s --data FILE\n           ecospa generate --model %s --prompt \"One day\"", word, word, word)
	}
	if r.Best != nil {
		line("Best       %s (step %d, validation loss %.4f)", filepath.Join(dir, "best"), r.Best.Step, r.Best.Loss)
	}
	if r.EMA != "" {
		line("Averaged   %s", r.EMA)
	}
	if r.Adapter != "" {
		line("Adapters   %s", r.Adapter)
	}
	if r.Merged != "" {
		line("Merged     %s", r.Merged)
	}
	return out.String()
}

func printSnapshots(out io.Writer, r *Result) {
	before, after := r.Summary.Before, r.Summary.After
	head := []string{""}
	if before != nil {
		head = append(head, fmt.Sprintf("before (step %d)", before.Step), fmt.Sprintf("at the end (step %d)", after.Step), "ratio")
	} else {
		head = append(head, fmt.Sprintf("at the end (step %d)", after.Step))
	}
	t := units.NewTable(head...)
	row := func(name string, value func(train.Snapshot) float64, show func(float64) string) {
		a := value(after)
		if before == nil {
			t.Add(name, show(a))
			return
		}
		b := value(*before)
		t.Add(name, show(b), show(a), fmt.Sprintf("%.2f", a/b))
	}
	bytes := func(f float64) string { return units.Bytes(int64(f)) }
	digits := func(n int) func(float64) string { return func(f float64) string { return fmt.Sprintf("%.*f", n, f) } }
	row("parameters", func(s train.Snapshot) float64 { return float64(s.Params) }, digits(0))
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
	row("milliseconds a step", func(s train.Snapshot) float64 { return s.Ms }, digits(1))
	rate := "tokens/s"
	if r.Images {
		rate = "images/s"
	}
	row(rate, func(s train.Snapshot) float64 { return s.TokensPerS }, digits(0))
	printLosses(after, row, digits)
	t.Print(out)
	if before != nil && after.Step > before.Step {
		fmt.Fprintf(out, "before is before the first pruning; at the end it has trained %s more\n", units.Plural(after.Step-before.Step, "step"))
	}
}

// printLosses adds the rows of what was measured on held-out data.
func printLosses(after train.Snapshot, row func(string, func(train.Snapshot) float64, func(float64) string), digits func(int) func(float64) string) {
	switch {
	case after.ValTop1 != nil:
		row("validation loss, nats", func(s train.Snapshot) float64 { return *s.ValLoss }, digits(4))
		row("validation top-1, %", func(s train.Snapshot) float64 { return 100 * *s.ValTop1 }, digits(2))
	case after.ValRewards != nil:
		rewards := func(s train.Snapshot) train.Rewards {
			if s.ValRewards == nil {
				return train.Rewards{Margin: math.NaN(), Accuracy: math.NaN()}
			}
			return *s.ValRewards
		}
		row("validation loss a pair, nats", func(s train.Snapshot) float64 { return *s.ValLoss }, digits(4))
		row("validation margin", func(s train.Snapshot) float64 { return rewards(s).Margin }, digits(4))
		row("pairs in order, %", func(s train.Snapshot) float64 { return 100 * rewards(s).Accuracy }, digits(1))
	case after.ValLoss != nil:
		row("validation perplexity", train.Snapshot.Perplexity, digits(3))
	}
	if after.ValEMA != nil {
		row("validation loss, averaged weights", func(s train.Snapshot) float64 {
			if s.ValEMA == nil {
				return math.NaN()
			}
			return *s.ValEMA
		}, digits(4))
	}
}
