package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// column is one figure of the table of runs.
type column struct {
	name string // as --sort has it
	of   func(Facts) float64
	show func(float64) string
	down bool // the greatest first
}

var columns = []column{
	{"loss", func(f Facts) float64 { return least(f) }, fixed(4), false},
	{"training-loss", func(f Facts) float64 { return f.Loss }, fixed(4), false},
	{"parameters", func(f Facts) float64 { return float64(f.After.Params) }, number, false},
	{"memory", func(f Facts) float64 { return float64(f.After.Memory.Total()) }, size, false},
	{"resident", func(f Facts) float64 { return float64(f.PeakResident) }, size, false},
	{"step-time", func(f Facts) float64 { return f.After.Ms }, func(v float64) string { return number(v) + " ms" }, false},
	{"tokens-per-second", func(f Facts) float64 { return f.After.TokensPerS }, number, true},
	{"steps", func(f Facts) float64 { return float64(f.Steps) }, number, true},
	{"tokens", func(f Facts) float64 { return float64(f.Tokens) }, number, true},
	{"time", func(f Facts) float64 { return f.Seconds }, duration, false},
}

// least is the least validation loss; NaN where there is none.
func least(f Facts) float64 {
	if f.BestLoss == nil {
		return math.NaN()
	}
	return *f.BestLoss
}

// Columns are the names by which runs are sorted.
func Columns() (names []string) {
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// sortRuns sorts runs by a column, the best first; those that do not say it come last.
func sortRuns(runs []*Run, by string) error {
	at := slices.IndexFunc(columns, func(c column) bool { return c.name == by })
	if at < 0 {
		return fmt.Errorf("%w: sorted by %q, expected one of %s", ErrCount, by, strings.Join(Columns(), ", "))
	}
	c := columns[at]
	key := map[*Run]float64{}
	for _, r := range runs {
		if key[r] = c.of(r.Facts()); c.down {
			key[r] = -key[r]
		}
	}
	slices.SortStableFunc(runs, func(a, b *Run) int {
		x, y := key[a], key[b]
		switch nx, ny := math.IsNaN(x), math.IsNaN(y); {
		case nx || ny:
			return cmp.Compare(b2i(nx), b2i(ny))
		}
		return cmp.Compare(x, y)
	})
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ranking is a table of runs, a row each.
func ranking(runs []*Run) Comparison {
	t := Comparison{Head: append([]string{""}, Columns()...)}
	t.Head[1] = "least validation loss"
	key, at := swept(runs)
	if at != nil {
		t.Head = slices.Insert(t.Head, 1, key)
	}
	for _, r := range runs {
		f := r.Facts()
		row := ComparisonRow{Name: r.Name}
		if at != nil {
			row.Cells = append(row.Cells, fmt.Sprint(at[r]))
		}
		for _, c := range columns {
			v := c.of(f)
			if math.IsNaN(v) || math.IsInf(v, 0) || v == 0 {
				row.Cells = append(row.Cells, "–")
				continue
			}
			row.Cells = append(row.Cells, c.show(v))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// SampleView is what a run wrote after a step.
type SampleView struct {
	Step  string
	Texts []string
}

// samples are the texts of a run on its way, the newest first, twelve steps of them evenly.
func samples(r *Run) (out []SampleView) {
	for _, s := range r.Steps {
		if len(s.Samples) > 0 {
			out = append(out, SampleView{count(s.Step), s.Samples})
		}
	}
	const most = 12
	if n := len(out); n > most {
		few := make([]SampleView, most)
		for i := range few {
			few[i] = out[(i*(n-1))/(most-1)]
		}
		out = few
	}
	slices.Reverse(out)
	return out
}
