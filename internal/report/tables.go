package report

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/train"
)

// Comparison is a table of figures.
type Comparison struct {
	Head []string
	Rows []ComparisonRow
}

// ComparisonRow is one figure, a cell for each column.
type ComparisonRow struct {
	Name  string
	Sub   bool // part of the row above it
	Cells []string
}

// figure is one thing that is said of a run at some point.
type figure struct {
	name string
	sub  bool
	of   func(train.Snapshot) float64
	show func(float64) string
}

var figures = []figure{
	{"parameters", false, func(s train.Snapshot) float64 { return float64(s.Params) }, func(v float64) string { return count(int64(v)) }},
	{"validation perplexity", false, train.Snapshot.Perplexity, fixed(2)},
	{"loss, averaged weights", true, func(s train.Snapshot) float64 {
		if s.ValEMA == nil {
			return math.NaN()
		}
		return *s.ValEMA
	}, fixed(4)},
	{"margin of held-out pairs", true, func(s train.Snapshot) float64 {
		if s.ValRewards == nil {
			return math.NaN()
		}
		return s.ValRewards.Margin
	}, fixed(3)},
	{"planned memory", false, func(s train.Snapshot) float64 { return float64(s.Memory.Total()) }, size},
	{"weights", true, func(s train.Snapshot) float64 { return float64(s.Memory.Weights) }, size},
	{"gradients", true, func(s train.Snapshot) float64 { return float64(s.Memory.Gradients) }, size},
	{"moments", true, func(s train.Snapshot) float64 { return float64(s.Memory.Moments) }, size},
	{"activations", true, func(s train.Snapshot) float64 { return float64(s.Memory.Activations) }, size},
	{"averaged weights", true, func(s train.Snapshot) float64 { return float64(s.Memory.Average) }, size},
	{"teacher", true, func(s train.Snapshot) float64 { return float64(s.Memory.Teacher) }, size},
	{"resident memory", false, func(s train.Snapshot) float64 { return float64(s.RSS) }, size},
	{"time a step", false, func(s train.Snapshot) float64 { return s.Ms }, func(v float64) string { return number(v) + " ms" }},
	{"tokens per second", false, func(s train.Snapshot) float64 { return s.TokensPerS }, func(v float64) string { return count(int64(math.Round(min(v, 1e15)))) }},
}

// shows is the figure's text, a dash where the run does not say.
func (f figure) shows(s train.Snapshot) string {
	v := f.of(s)
	if math.IsNaN(v) || math.IsInf(v, 0) || v == 0 {
		return "–"
	}
	return f.show(v)
}

// beforeAfter is a run before its first pruning event against its end.
func beforeAfter(f Facts) Comparison {
	t := Comparison{Head: []string{"", "before, step " + count(f.Before.Step), "end, step " + count(f.After.Step), "ratio"}}
	for _, g := range figures {
		ratio := "–"
		if a, b := g.of(*f.Before), g.of(f.After); a > 0 && b > 0 && !math.IsInf(b/a, 0) {
			ratio = fmt.Sprintf("%.2f", b/a)
		}
		t.Rows = append(t.Rows, ComparisonRow{g.name, g.sub, []string{g.shows(*f.Before), g.shows(f.After), ratio}})
	}
	return t.dropEmpty()
}

// dropEmpty leaves out the parts of a figure of which no column says anything.
func (c Comparison) dropEmpty() Comparison {
	c.Rows = slices.DeleteFunc(c.Rows, func(r ComparisonRow) bool {
		return r.Sub && !slices.ContainsFunc(r.Cells, func(cell string) bool { return cell != "–" })
	})
	return c
}

// compare is the runs at their ends, side by side.
func compare(runs []*Run) Comparison {
	t := Comparison{Head: []string{""}}
	var facts []Facts
	for _, r := range runs {
		t.Head = append(t.Head, r.Name)
		facts = append(facts, r.Facts())
	}
	row := func(name string, sub bool, of func(Facts) string) {
		r := ComparisonRow{Name: name, Sub: sub}
		for _, f := range facts {
			r.Cells = append(r.Cells, of(f))
		}
		t.Rows = append(t.Rows, r)
	}
	for _, g := range figures {
		row(g.name, g.sub, func(f Facts) string { return g.shows(f.After) })
	}
	row("least validation perplexity", false, func(f Facts) string {
		if f.BestLoss == nil || f.After.ValRewards != nil {
			return "–"
		}
		return fixed(2)(math.Exp(*f.BestLoss))
	})
	row("training loss, last steps", false, func(f Facts) string { return fixed(3)(f.Loss) })
	row("peak resident memory", false, func(f Facts) string { return size(float64(f.PeakResident)) })
	row("steps", false, func(f Facts) string { return count(f.Steps) })
	row("tokens", false, func(f Facts) string { return count(f.Tokens) })
	row("time in steps", false, func(f Facts) string { return duration(f.Seconds) })
	return t.dropEmpty()
}

// Tile is one large figure.
type Tile struct {
	Name, Value, Was, Change string
	Better                   bool
	Note                     string // what else changed it
}

// tiles are the four figures that matter most.
func tiles(f Facts) []Tile {
	var out []Tile
	for _, name := range []string{"parameters", "planned memory", "time a step", "validation perplexity"} {
		for _, g := range figures {
			if g.name != name {
				continue
			}
			t := Tile{Name: g.name, Value: g.shows(f.After)}
			if name == "parameters" {
				t.Value = number(g.of(f.After))
			}
			if f.Before != nil {
				if a, b := g.of(*f.Before), g.of(f.After); a > 0 && b > 0 {
					t.Was, t.Change, t.Better = g.shows(*f.Before), change(b/a-1), b < a
					if n := f.After.Step - f.Before.Step; name == "validation perplexity" && n > 0 {
						t.Note = "trained " + count(n) + " steps more"
					}
				}
			}
			out = append(out, t)
		}
	}
	return out
}

// change prints a relative change.
func change(by float64) string {
	sign := "+"
	if by < 0 {
		sign = "−"
	}
	return fmt.Sprintf("%s%.0f%%", sign, 100*math.Abs(by))
}

// Differences are the keys of the configuration that are not the same in all runs.
type Differences struct {
	Runs []string
	Rows []ComparisonRow
}

// differences compares the run files; one that cannot be read, as that of
// another version of this program, leaves the table empty.
func differences(runs []*Run) Differences {
	d := Differences{}
	var first config.Run
	rows := map[string]*ComparisonRow{}
	for i, r := range runs {
		d.Runs = append(d.Runs, r.Name)
		c, err := config.Parse([]byte(r.Config), nil)
		if err != nil {
			return Differences{}
		}
		if i == 0 {
			first = c
			continue
		}
		changes, err := config.Changes(first, c)
		if err != nil {
			return Differences{}
		}
		for _, ch := range changes {
			if ch.Key == "out" {
				continue
			}
			if rows[ch.Key] == nil {
				rows[ch.Key] = &ComparisonRow{Name: ch.Key, Cells: slices.Repeat([]string{orNone(ch.From)}, len(runs))}
			}
			rows[ch.Key].Cells[i] = orNone(ch.To)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		d.Rows = append(d.Rows, *rows[key])
	}
	return d
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}
