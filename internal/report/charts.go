package report

import (
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/train"
)

// Chart is one plot as plain data.
type Chart struct {
	Key    string // file name without its ending, letters and dashes
	Title  string
	Unit   string // of y
	Note   string
	X      string // what x counts
	LogX   bool
	LogY   bool
	Zero   bool    // y begins at 0
	Stack  []Curve // areas on top of each other, the first at the bottom; all have the same X
	Curves []Curve
	Points []Curve // only dots, which share the curves' colours
	Marks  []Mark
	From   float64 // of x
	To     float64
	Reach  float64 // y goes up to this at least
	Bands  []Band  // distributions side by side, drawn into files
	Wide   bool    // worth two columns
	// Averaged says that dots without a run's colour are of averaged weights (train.ema).
	Averaged bool
	Named    bool // the curves are not runs: their names belong beside them
	Format   func(float64) string
}

// Mark is a pruning event.
type Mark struct {
	X     float64
	Run   int
	Short string // parameters after it
	Label string // for the reader who points at it
}

// lossUnit is that of losses of which a perplexity can be made.
const lossUnit = "nats per token"

// charts are the plots of the runs, those first that matter most. Plots for
// which no run has anything to show are left out.
func charts(runs []*Run, a Axes) ([]Chart, error) {
	x, name := a.of(runs)
	runs, err := a.zoomed(runs)
	if err != nil {
		return nil, err
	}
	from, to := a.span(runs, x)
	all := func(c Chart, of func(*Run) Curve) Chart {
		c.X, c.LogX = name, a.LogX
		for i, r := range runs {
			if r == nil {
				continue
			}
			k := of(r)
			if k.Name, k.Style = r.Name, i; len(k.X) > 0 {
				c.Curves = append(c.Curves, k)
			}
			c.Marks = append(c.Marks, marks(r, i, x)...)
		}
		return c
	}
	list := []Chart{
		withValidation(all(Chart{Key: "loss", Title: "Training loss", Unit: lossUnit, Format: fixed(3)},
			func(r *Run) Curve { return smooth(r, x, func(s train.Record) float64 { return s.Loss }, false) }), runs, x),
		all(Chart{Key: "perplexity", Title: "Validation perplexity", Unit: "log scale", LogY: true, Wide: true, Format: number},
			func(r *Run) Curve { return perplexity(r, x) }),
		all(Chart{Key: "parameters", Title: "Parameters", Unit: "count", Zero: true, Format: number},
			func(r *Run) Curve { return stairs(r, x, func(s train.Record) float64 { return float64(s.Params) }) }),
		all(Chart{Key: "step-time", Title: "Time a step", Unit: "milliseconds", Zero: true, Format: number},
			func(r *Run) Curve { return smooth(r, x, func(s train.Record) float64 { return s.Ms }, true) }),
		all(Chart{Key: "tokens-per-second", Title: "Throughput", Unit: "tokens per second", Zero: true, Format: number},
			func(r *Run) Curve { return smooth(r, x, func(s train.Record) float64 { return s.TokensPerS }, true) }),
		all(Chart{Key: "gradient-norm", Title: "Gradient norm", Unit: "before clipping, log scale", LogY: true, Format: number},
			func(r *Run) Curve { return smooth(r, x, func(s train.Record) float64 { return s.GradNorm }, true) }),
	}
	list = append(list, preferences(runs, all, x)...)
	list = append(list, layerCharts(runs, x, name)...)
	list = append(list, memory(runs, x, name)...)
	list = append(list, all(Chart{Key: "learning-rate", Title: "Learning rate", Zero: true, Format: short}, func(r *Run) Curve {
		c := points(r, x, func(s train.Record) (float64, bool) { return s.LR, true })
		c.X, c.Y = thin(c.X, c.Y)
		return c
	}))
	out := list[:0]
	for _, c := range list {
		if len(c.Curves)+len(c.Stack) > 0 {
			c.From, c.To, c.LogX = from, to, a.LogX
			if a.LogY && c.Stack == nil {
				c.LogY, c.Zero = true, false
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// perplexity is that of the held-out data where it was measured.
func perplexity(r *Run, x func(train.Record) float64) Curve {
	c := points(r, x, func(s train.Record) (float64, bool) {
		v, ok := deref(s.ValLoss)
		return math.Exp(v), ok && s.ValRewards == nil
	})
	c.Dots = true
	return c
}

// withValidation adds the losses on held-out data to the chart of the training loss.
func withValidation(loss Chart, runs []*Run, x func(train.Record) float64) Chart {
	for i, r := range runs {
		if r == nil {
			continue
		}
		v := points(r, x, func(s train.Record) (float64, bool) { return deref(s.ValLoss) })
		if v.Style = i; len(v.X) > 0 {
			loss.Points = append(loss.Points, v)
		}
		v = points(r, x, func(s train.Record) (float64, bool) { return deref(s.ValEMA) })
		if v.Style = inkStyle; len(v.X) > 0 {
			loss.Points = append(loss.Points, v)
			loss.Averaged = true
		}
		for _, s := range r.Steps {
			if s.Rewards != nil {
				loss.Unit = "nats per pair of answers"
			}
		}
	}
	loss.LogY = loss.spans(5)
	return loss
}

func deref(v *float64) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return *v, true
}

// spans reports whether the curves' greatest value is more than times their least.
func (c Chart) spans(times float64) bool {
	lo, hi := math.Inf(1), 0.0
	for _, k := range c.Curves {
		for _, v := range k.Y {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	return lo > 0 && hi > times*lo
}

func tokensAStep(r *Run) int64 {
	last := r.Steps[len(r.Steps)-1]
	return last.Tokens / int64(max(1, last.Step))
}

func marks(r *Run, run int, x func(train.Record) float64) []Mark {
	var out []Mark
	for _, s := range r.Steps {
		if !s.Pruned {
			continue
		}
		m := Mark{X: x(s), Run: run, Short: number(float64(s.Params)), Label: r.Name + ": pruned at step " + count(s.Step)}
		if s.Event != nil {
			m.Label += ", " + number(float64(s.Event.ParamsBefore)) + " to " + number(float64(s.Event.ParamsAfter)) + " parameters"
		}
		out = append(out, m)
	}
	return out
}

// purposes are what planned memory is for, in the order in which it is stacked.
var purposes = []struct {
	name string
	of   func(train.Memory) int64
}{
	{"weights", func(m train.Memory) int64 { return m.Weights }},
	{"gradients", func(m train.Memory) int64 { return m.Gradients }},
	{"moments", func(m train.Memory) int64 { return m.Moments }},
	{"activations", func(m train.Memory) int64 { return m.Activations }},
	{"teacher", func(m train.Memory) int64 { return m.Teacher }},
	{"averaged weights", func(m train.Memory) int64 { return m.Average }},
}

// memory is one chart a run: planned bytes by purpose, and what was resident.
func memory(runs []*Run, x func(train.Record) float64, name string) []Chart {
	var out []Chart
	for i, r := range runs {
		if r == nil {
			continue
		}
		c := Chart{Key: "memory", Title: "Memory by purpose", X: name, Zero: true, Format: size, Unit: "planned, and resident", Marks: marks(r, i, x), Wide: len(runs) == 1}
		if len(runs) > 1 {
			c.Key += "-" + count(i+1)
			c.Title += ", " + r.Name
		}
		for k, p := range purposes {
			if s := planned(r, x, p.of); len(s.X) > 0 && slices.Max(s.Y) > 0 {
				s.Name, s.Style = p.name, k
				c.Stack = append(c.Stack, s)
			}
		}
		rss := points(r, x, func(s train.Record) (float64, bool) { return float64(s.RSS), s.RSS > 0 })
		rss.X, rss.Y = thin(rss.X, rss.Y)
		if rss.Name, rss.Style = "resident", inkStyle; len(rss.X) > 0 {
			c.Curves = append(c.Curves, rss)
		}
		out = append(out, c)
	}
	top := 0.0
	for _, c := range out {
		top = max(top, c.yScale().hi)
	}
	for i := range out {
		out[i].Reach = top
	}
	return out
}

// planned is the bytes for one purpose over the run.
func planned(r *Run, x func(train.Record) float64, of func(train.Memory) int64) Curve {
	c := points(r, x, func(s train.Record) (float64, bool) {
		if s.Memory == nil {
			return 0, false
		}
		return float64(of(*s.Memory)), true
	})
	if n := len(c.X); n > 0 {
		if end := x(r.Steps[len(r.Steps)-1]); end > c.X[n-1] {
			c.X, c.Y = append(c.X, end), append(c.Y, c.Y[n-1])
		}
	}
	c.Stairs = true
	return c
}
