package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ecospa/ecospa/pkg/train"
)

// Axes says how the plots of a page are drawn.
type Axes struct {
	X          string // what x counts, one of AxisNames; "" is steps, or tokens where a step of one run is not a step of another
	LogX, LogY bool
	Zoom       bool // only From to To of x is drawn, by what was measured there
	From, To   float64
}

// axisNames are what x can count.
var axisNames = []string{"step", "tokens", "flops", "hours"}

// ParseAxes reads flags: what x counts, the logarithmic axes (x, y or xy) and the part of x
// that is drawn (FROM:TO, either of which may be missing).
func ParseAxes(x, log, zoom string) (a Axes, err error) {
	if a.X = x; x != "" && axis(x) == nil {
		return a, fmt.Errorf("--x is %q, expected one of %s", x, strings.Join(axisNames, ", "))
	}
	if log != "" && log != "x" && log != "y" && log != "xy" {
		return a, fmt.Errorf("--log is %q, expected x, y or xy", log)
	}
	a.LogX, a.LogY = strings.Contains(log, "x"), strings.Contains(log, "y")
	if zoom == "" {
		return a, nil
	}
	from, to, found := strings.Cut(zoom, ":")
	a.Zoom, a.To = true, math.Inf(1)
	for text, v := range map[string]*float64{from: &a.From, to: &a.To} {
		if text != "" {
			*v, err = strconv.ParseFloat(text, 64)
		}
		if err != nil || math.IsNaN(*v) {
			found = false
		}
	}
	if !found || !(a.From < a.To) || a.From < 0 {
		return a, fmt.Errorf("--zoom is %q, expected FROM:TO, a part of x, such as 500: or 1000:2000", zoom)
	}
	return a, nil
}

// axis is x by name, nil for a name that there is not.
func axis(name string) func(train.Record) float64 {
	return map[string]func(train.Record) float64{
		"step":   func(s train.Record) float64 { return float64(s.Step) },
		"tokens": func(s train.Record) float64 { return float64(s.Tokens) },
		"flops":  func(s train.Record) float64 { return s.FLOPs },
		"hours":  func(s train.Record) float64 { return s.Hours },
	}[name]
}

// of is the common x of the runs, and what it counts.
func (a Axes) of(runs []*Run) (x func(train.Record) float64, name string) {
	if name = a.X; name == "" {
		name = "step"
		for _, r := range runs[1:] {
			if tokensAStep(r) != tokensAStep(runs[0]) {
				name = "tokens"
			}
		}
	}
	return axis(name), name
}

// zoomed is the runs between the ends of x, without those that have nothing there. A run
// keeps its place: what is left out is nil.
func (a Axes) zoomed(runs []*Run) ([]*Run, error) {
	x, name := a.of(runs)
	out := make([]*Run, len(runs))
	any := false
	for i, r := range runs {
		if a.X != "" && x(r.Steps[len(r.Steps)-1]) <= 0 {
			return nil, fmt.Errorf("%w: %s does not say its %s: an earlier version wrote it", ErrCount, r.Name, name)
		}
		part := *r
		part.Steps = nil
		var memory *train.Memory // what was planned before the part
		for _, s := range r.Steps {
			if s.Memory != nil {
				memory = s.Memory
			}
			if len(part.Steps) == 0 {
				s.Memory = memory
			}
			if v := x(s); (!a.Zoom || v >= a.From && v <= a.To) && (!a.LogX || v > 0) {
				part.Steps = append(part.Steps, s)
			}
		}
		if len(part.Steps) > 0 {
			out[i], any = &part, true
		}
	}
	if !any {
		return nil, fmt.Errorf("%w: no run has a step between %g and %g (%s)", ErrCount, a.From, a.To, name)
	}
	return out, nil
}

// span is the part of x that is drawn: from 0, or from the first step where that is not there.
func (a Axes) span(runs []*Run, x func(train.Record) float64) (from, to float64) {
	if a.LogX || a.Zoom {
		from = math.Inf(1)
	}
	for _, r := range runs {
		if r != nil {
			from, to = min(from, x(r.Steps[0])), max(to, x(r.Steps[len(r.Steps)-1]))
		}
	}
	return from, to
}
