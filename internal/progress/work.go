package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/prune"
)

// Work shows work that takes two seconds or more, phase by phase: how much of it is done,
// how fast, and how long the rest takes. Elsewhere than on a terminal it prints a line for
// every tenth of a phase, at most one in two seconds and at least one a minute.
type Work struct {
	mu sync.Mutex
	Display
	begun time.Time
	named *time.Timer // says the name of a phase without counts
	phase string
	since time.Time // the first count of the phase, which was
	first int64
	said  time.Time // the last line about it
	tenth int64     // that it named
}

// patience is how long work may take without a word.
const patience = 2 * time.Second

// NewWork shows work that begins now on out.
func NewWork(out io.Writer) *Work { return &Work{Display: Display{out: out}, begun: time.Now()} }

// Phase begins a phase of which nobody counts how far it is: "reading MODEL".
func (w *Work) Phase(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enter(name)
	w.named = time.AfterFunc(patience, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.named != nil && w.phase == name {
			w.Display.Say(name)
		}
	})
}

// enter begins a phase.
func (w *Work) enter(name string) {
	if w.named != nil {
		w.named.Stop()
		w.named = nil
	}
	w.phase, w.since, w.said, w.tenth = name, time.Time{}, time.Time{}, 0
}

// Count is a callback for a phase that counts units, in the plural: tokens. Those called
// "bytes" are printed as KiB, MiB.
func (w *Work) Count(phase, unit string) func(done, of int64) {
	return func(done, of int64) { w.counted(phase, unit, done, of) }
}

// Phases is a callback for several phases that count the same; one with `of` of 0 does not.
func (w *Work) Phases(unit string) func(phase string, done, of int64) {
	return func(phase string, done, of int64) {
		if of <= 0 {
			w.Phase(phase)
			return
		}
		w.counted(phase, unit, done, of)
	}
}

// counted shows how far a phase is: done units of `of`.
func (w *Work) counted(phase, unit string, done, of int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if phase != w.phase || w.named != nil {
		w.enter(phase)
	}
	now := time.Now()
	if w.since.IsZero() { // the clock begins with what is done: nobody knows how long that took
		w.since, w.first = now, done
	}
	took := now.Sub(w.since)
	pace := "" // not known yet
	if n := done - w.first; n > 0 && took > 0 {
		pace = rate(float64(n)/took.Seconds(), unit, time.Duration(float64(took)/float64(n)*float64(max(0, of-done))))
	}
	w.show(phase+pace, done, of)
}

// Pruning shows how far a pruning is, over all of its phases.
func (w *Work) Pruning(e prune.Working) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pace := ""
	if s := e.Elapsed.Seconds(); s > 0 && e.Done > 0 {
		pace = rate(float64(e.Done)/s, "FLOP", e.Left())
	}
	w.show(string(e.Phase)+pace, e.Done, e.Of)
}

func (w *Work) show(text string, done, of int64) {
	part := 1000 * min(done, of) / max(1, of)
	if w.draw(part, 1000, text) {
		return
	}
	now := time.Now()
	last := w.said
	if last.IsZero() {
		last = w.begun
	}
	if silent := now.Sub(last); silent >= time.Minute || silent >= patience && part/100 > w.tenth {
		w.said, w.tenth = now, part/100
		w.Display.Say(fmt.Sprintf("%3d %%  %s", part/10, text))
	}
}

// Say prints a line beside the display.
func (w *Work) Say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Display.Say(line)
}

// Write says lines, for what prints to an io.Writer.
func (w *Work) Write(lines []byte) (int, error) {
	w.Say(strings.TrimSuffix(string(lines), "\n"))
	return len(lines), nil
}

// End takes away what is drawn; no phase says its name any more.
func (w *Work) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enter("")
	w.Display.End()
}

// rate is units a second in words, and how long the rest takes.
func rate(x float64, unit string, left time.Duration) string {
	speed := units.Count(x) + " " + unit
	switch unit {
	case "bytes":
		speed = units.Bytes(int64(x))
	case "FLOP":
		speed = fmt.Sprintf("%.3g GFLOP", x/1e9)
	}
	return fmt.Sprintf(", %s/s, %s left", speed, units.Clock(left))
}
