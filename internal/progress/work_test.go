package progress

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/pkg/prune"
)

// ago makes the work, and the phase at hand, begin earlier than they did.
func (w *Work) ago(d time.Duration) {
	w.begun = w.begun.Add(-d)
	if !w.since.IsZero() {
		w.since = w.since.Add(-d)
	}
	if !w.said.IsZero() {
		w.said = w.said.Add(-d)
	}
}

// pipe is a pipe of lines; read waits for one.
func pipe(t *testing.T) (read func() string, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	in := bufio.NewScanner(r)
	return func() string { in.Scan(); return in.Text() }, w
}

// TestShortWorkIsSilent: nothing is said of what takes less than two seconds.
func TestShortWorkIsSilent(t *testing.T) {
	var out bytes.Buffer
	w := NewWork(&out)
	w.Phase("reading m")
	count := w.Count("evaluating", "tokens")
	for i := range int64(10) {
		count(i, 10)
	}
	w.End()
	if out.Len() > 0 {
		t.Errorf("it says %q", out.String())
	}
}

// TestLines: elsewhere than on a terminal there is a line for every tenth, with the phase, the
// rate and what is left, and one a minute where a tenth takes longer.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	w := NewWork(&out)
	count := w.Phases("bytes")
	count("writing", 0, 1000<<20) // the clock of the phase begins
	w.ago(4 * time.Second)
	count("writing", 200<<20, 1000<<20)
	count("writing", 390<<20, 1000<<20) // a tenth more, but at once
	w.ago(time.Minute)
	count("writing", 299<<20, 1000<<20) // no tenth more, but a minute
	w.End()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || lines[0] != "20 %  writing, 50.0 MiB/s, 16s left" || !strings.HasPrefix(lines[1], " 29 %  writing, 4.7 MiB/s, 2m") {
		t.Errorf("it says %q", lines)
	}
}

// TestNextPhase: a phase has its own clock, so that it says nothing of the rate of another.
func TestNextPhase(t *testing.T) {
	var out bytes.Buffer
	w := NewWork(&out)
	w.Count("reading", "texts")(0, 10)
	w.ago(10 * time.Second)
	w.Count("embedding", "texts")(1, 10)
	if got := out.String(); got != " 10 %  embedding\n" {
		t.Errorf("the first count of a phase gives %q", got)
	}
	out.Reset()
	w.ago(2500 * time.Millisecond)
	w.Count("embedding", "texts")(6, 10)
	if got := out.String(); got != " 60 %  embedding, 2 texts/s, 2s left\n" {
		t.Errorf("the second gives %q", got)
	}
}

// TestPhaseWithoutCounts says its name when two seconds have passed.
func TestPhaseWithoutCounts(t *testing.T) {
	r, out := pipe(t)
	w := NewWork(out)
	w.Phase("reading m")
	line := r()
	if !strings.HasSuffix(line, " reading m") || len(line) != len("2006-01-02 15:04:05 reading m") {
		t.Errorf("into a pipe it says %q, expected the time and the phase", line)
	}
	w.Say("hello")
	if line := r(); !strings.HasSuffix(line, " hello") || len(line) != len("2006-01-02 15:04:05 hello") {
		t.Errorf("a line into a pipe is %q", line)
	}
}

func TestPruning(t *testing.T) {
	var out bytes.Buffer
	w := NewWork(&out)
	w.ago(3 * time.Second)
	w.Pruning(prune.Working{Phase: prune.PhaseEvidence, Done: 3e9, Of: 12e9, Elapsed: 3 * time.Second})
	if got := out.String(); got != " 25 %  evidence, 1 GFLOP/s, 9s left\n" {
		t.Errorf("it says %q", got)
	}
}
