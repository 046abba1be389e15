package prune

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// TestRefusesWithoutMemory: too little memory is said with the numbers, before any pass,
// and with enough the log says what the pass takes.
func TestRefusesWithoutMemory(t *testing.T) {
	old := available
	defer func() { available = old }()
	for free, refused := range map[int64]bool{1 << 10: true, 1 << 30: false} {
		available = func() (int64, string, bool) { return free, "the machine", true }
		p := &Job{Calibration: calibration(t, "llama", 8), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), CheckMemory: true}
		p.Config.Target = "0.8x"
		before := slices.Clone(p.Set.Weights.Data)
		var seen []string
		p.Notify = func(e Event) { seen = append(seen, e.String()) }
		r, err := p.Run(t.Context())
		log := strings.Join(seen, "\n")
		if !strings.Contains(log, "beside weights of") || !strings.Contains(log, "evidence ") {
			t.Errorf("the log does not say what the pass takes:\n%s", log)
		}
		var m *MemoryError
		if errors.As(err, &m) != refused {
			t.Fatalf("%d bytes free: %v", free, err)
		}
		if refused {
			if !strings.Contains(err.Error(), "the machine has 1.0 KiB left") || strings.Contains(log, "gathering") || !slices.Equal(before, p.Set.Weights.Data) {
				t.Errorf("%v\n%s", err, log)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log, "gathering evidence from") || r.Before.Params <= r.After.Params || len(r.Rows) == 0 {
			t.Errorf("a pruning: %+v\n%s", r, log)
		}
		r.Close()
	}
}

// TestRunMeasures: what Run reports before and after is what Measure found.
func TestRunMeasures(t *testing.T) {
	p := &Job{Calibration: calibration(t, "gpt2", 8), Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove()}
	p.Config.Target = "0.8x"
	calls := 0
	p.Measure = func() (Evaluation, error) {
		calls++
		return Evaluation{Loss: float64(calls), Tokens: 10}, nil
	}
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if calls != 2 || r.Before.Loss != 1 || r.After.Loss != 2 || r.Before.FLOPs <= r.After.FLOPs || r.After.Params != r.Plan().After {
		t.Errorf("%d measurements: before %+v, after %+v", calls, r.Before, r.After)
	}
	text := r.Report().String()
	for line := range strings.Lines(text) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("a line of more than 80 columns: %s", line)
		}
	}
	for _, want := range []string{"score lost", "parameters", "bytes on disk", "perplexity"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
}
