package cmd

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
)

// Set by scripts/soak.sh for the long form.
var soakFor = flag.Duration("soak", time.Second, "what the steps of TestSoak would take without pruning")

// sample is how the process stands at a moment of a soak.
type sample struct {
	step, params    int
	rss             int64
	goroutines, fds int
}

// watch samples the process until ctx ends, stepping with the lines of a run's metrics.
func watch(ctx context.Context, dir string, every time.Duration) (out []sample) {
	for tick := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return out
		case <-tick.C:
		}
		step, params, ok := lastLineOf(filepath.Join(dir, "metrics.jsonl"))
		if !ok {
			continue
		}
		rss, _ := sysmem.Resident()
		fds, _ := os.ReadDir("/proc/self/fd")
		out = append(out, sample{step, params, rss, runtime.NumGoroutine(), len(fds)})
	}
}

// lastLineOf is the step and the parameters of the newest whole line of metrics.
func lastLineOf(path string) (step, params int, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, 0, false
	}
	tail := make([]byte, min(2048, st.Size()))
	if _, err := f.ReadAt(tail, st.Size()-int64(len(tail))); err != nil {
		return 0, 0, false
	}
	lines := bytes.Split(tail, []byte("\n"))
	if len(lines) < 3 {
		return 0, 0, false
	}
	_, err1 := fmt.Sscanf(after(lines[len(lines)-2], `"step":`), "%d", &step)
	_, err2 := fmt.Sscanf(after(lines[len(lines)-2], `"params":`), "%d", &params)
	return step, params, err1 == nil && err2 == nil
}

func after(line []byte, key string) string {
	_, rest, _ := bytes.Cut(line, []byte(key))
	return string(rest)
}

// TestSoak trains with pruning, evaluation and checkpoints, and looks at the
// process all the while: between two pruning events its resident set, its
// goroutines and its open files do not grow.
func TestSoak(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("SKIPPED: counting open files needs /proc")
	}
	tmp := t.TempDir()
	sizes := []string{"train.batch=8", "train.context=64", "train.threads=1", "train.sample=0", "tokenizer.vocab=512", "data.bytes=200KB", "model.layers=3", "model.width=96", "model.heads=4", "model.kv_heads=2", "model.ffn=256", "prune.target=0.3x", "prune.start=0.02", "prune.end=0.9"}
	if *soakFor < time.Minute {
		sizes = append(sizes, "train.batch=2", "model.width=32")
	}
	probe := filepath.Join(tmp, "probe")
	mustRun(t, small(probe, append(sizes, "train.steps=60", "prune.target=")...)...)
	var ms []float64
	for _, line := range metrics(t, probe) {
		ms = append(ms, line["ms"].(float64))
	}
	steps := max(120, int(1e3*soakFor.Seconds()/units.Median(ms)))
	dir := filepath.Join(tmp, "soak")
	args := small(dir, append(sizes, fmt.Sprint("train.steps=", steps), "prune.events=8", fmt.Sprint("checkpoint.every=", steps/100+1), fmt.Sprint("train.eval_every=", steps/50+1))...)

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan []sample)
	go func() { done <- watch(ctx, dir, max(5*time.Millisecond, *soakFor/3600)) }()
	begun := time.Now()
	mustRun(t, args...)
	took := time.Since(begun)
	stop()
	samples := <-done
	t.Logf("%d steps in %s, %d samples", steps, took.Round(time.Second), len(samples))
	if len(samples) < 50 {
		t.Fatalf("%d samples say nothing", len(samples))
	}

	t.Log("| parameters | steps | samples | resident at first (MiB) | at last | goroutines | open files |")
	stretches := 0
	for rest := samples; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].params == rest[0].params {
			n++
		}
		part := rest[n/5 : n] // after an event the heap settles first
		rest = rest[n:]
		if len(part) < 8 {
			continue
		}
		stretches++
		q := len(part) / 4
		early, late := typical(part[:q+1]), typical(part[len(part)-q-1:])
		t.Logf("| %d | %d to %d | %d | %.1f | %.1f | %d, then %d | %d, then %d |", part[0].params, part[0].step, part[len(part)-1].step, len(part),
			float64(early.rss)/(1<<20), float64(late.rss)/(1<<20), early.goroutines, late.goroutines, early.fds, late.fds)
		// A checkpoint in every sample may hide the least; what leaks at each of a
		// dozen checkpoints or half a dozen evaluations does not pass for that.
		if late.goroutines > early.goroutines+3 || late.fds > early.fds+3 {
			t.Errorf("at %d parameters goroutines grew from %d to %d, open files from %d to %d", part[0].params, early.goroutines, late.goroutines, early.fds, late.fds)
		}
		if grown := late.rss - early.rss; grown > 6<<20+early.rss/50 {
			t.Errorf("at %d parameters the resident set grew by %.1f MiB over %d steps", part[0].params, float64(grown)/(1<<20), part[len(part)-1].step-part[0].step)
		}
	}
	if stretches < 3 {
		t.Errorf("%d stretches between pruning events could be looked at", stretches)
	}
}

// typical is the median of the resident set, and the least of what is counted:
// checkpoints, evaluations and the watching itself open files for a moment.
func typical(s []sample) sample {
	mid := func(of func(sample) int) int {
		x := make([]int, len(s))
		for i := range s {
			x[i] = of(s[i])
		}
		slices.Sort(x)
		return x[len(x)/2]
	}
	least := func(of func(sample) int) int {
		n := of(s[0])
		for i := range s {
			n = min(n, of(s[i]))
		}
		return n
	}
	return sample{
		rss:        int64(mid(func(s sample) int { return int(s.rss) })),
		goroutines: least(func(s sample) int { return s.goroutines }),
		fds:        least(func(s sample) int { return s.fds }),
	}
}
