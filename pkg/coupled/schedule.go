package coupled

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// Schedule says when a run prunes and how far along it then is.
type Schedule struct {
	Start, End float64 // shares of the run's steps, 0 <= Start <= End < 1: first and last event
	Events     int     // number of events
	Ramp       string  // how the removed share grows over the events: see Ramps
}

// ramps map the share of the events made (0 to 1) to the share of the removal made.
var ramps = map[string]func(x float64) float64{
	// cubic: much at first, little at the end, 1-(1-x)^3 (Zhu and Gupta,
	// https://arxiv.org/abs/1710.01878).
	"cubic":  func(x float64) float64 { return 1 - (1-x)*(1-x)*(1-x) },
	"linear": func(x float64) float64 { return x },
	// one-shot: everything in the first event; later events find nothing to do.
	"one-shot": func(float64) float64 { return 1 },
}

// Ramps lists the names of the ramps, sorted.
func Ramps() []string {
	var names []string
	for n := range ramps {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Validate reports the first value that makes no sense, by its key in a run file.
func (s Schedule) Validate() error {
	switch {
	case !(s.Start >= 0 && s.Start < 1):
		return fmt.Errorf("prune.start is %g, expected a share of the steps, 0 or more and below 1", s.Start)
	case !(s.End >= s.Start && s.End < 1):
		return fmt.Errorf("prune.end is %g, expected a share of the steps, prune.start (%g) or more and below 1", s.End, s.Start)
	case s.Events < 1 || s.Events > 10000:
		return fmt.Errorf("prune.events is %d, expected 1 to 10000", s.Events)
	case ramps[s.Ramp] == nil:
		return fmt.Errorf("prune.ramp is %q, expected one of %s", s.Ramp, strings.Join(Ramps(), ", "))
	}
	return nil
}

// step is the step of event k (0-based): evenly spread from Start to End, at the
// last step at most, and never step 0 (nothing has been seen before it). A single
// event happens at Start.
func (s Schedule) step(k, steps int) int {
	at := s.Start
	if s.Events > 1 {
		at += (s.End - s.Start) * float64(k) / float64(s.Events-1)
	}
	return max(1, min(int(math.Round(at*float64(steps))), steps-1))
}

// At says whether a pruning event is due when `step` of `steps` optimizer steps
// have been made, and the share of the whole removal (0 to 1, see Goal.At) that
// is to be done by then. Events that fall on one step are one event. The last
// event's share is exactly 1.
func (s Schedule) At(step, steps int) (share float64, due bool) {
	for k := range s.Events {
		if s.step(k, steps) == step {
			share, due = ramps[s.Ramp](float64(k+1)/float64(s.Events)), true
		}
	}
	return share, due
}

// Remaining is the number of distinct steps after `step` at which events are due.
func (s Schedule) Remaining(step, steps int) int {
	n, last := 0, step
	for k := range s.Events {
		if at := s.step(k, steps); at > last {
			n, last = n+1, at
		}
	}
	return n
}
