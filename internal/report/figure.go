package report

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/chart"
)

// Figure is a plot for a file.
type Figure struct {
	Name string // without an ending
	chart.Figure
}

// Figures are the plots of the runs, to be written as files: the charts of the
// page, and for each pruned run the share of units that stays in every layer.
func Figures(runs []*Run) []Figure {
	var out []Figure
	for _, c := range charts(runs) {
		f := chart.Lines{Axes: chart.Axes{Title: c.Title, X: c.X, Y: c.Unit, LogY: c.LogY}}
		if c.Stack != nil {
			f.Y = "MiB"
		}
		for _, m := range c.Marks {
			f.Marks = append(f.Marks, m.X)
		}
		for _, k := range append(append([]Curve(nil), c.Stack...), c.Curves...) {
			l := chart.Line{Name: k.Name, X: k.X, Y: k.Y}
			if k.Stairs {
				l.X, l.Y = corners(k.X, k.Y)
			}
			if c.Stack != nil {
				l.Y = scaled(l.Y, 1.0/(1<<20))
			}
			f.Curves = append(f.Curves, l)
		}
		out = append(out, Figure{c.Key, f})
	}
	for i, r := range runs {
		w := widths(r.Plans)
		if len(w.Rows) == 0 {
			continue
		}
		f := chart.Lines{Axes: chart.Axes{Title: "Kept units, " + r.Name, X: "layer", Y: "share"}}
		for k, kind := range w.Kinds {
			l := chart.Line{Name: string(kind)}
			for _, row := range w.Rows {
				if c := row.Cells[k]; !c.None {
					l.X, l.Y = append(l.X, float64(row.Layer)), append(l.Y, c.Share)
				}
			}
			f.Curves = append(f.Curves, l)
		}
		name := "widths"
		if len(runs) > 1 {
			name = fmt.Sprintf("widths-%d", i+1)
		}
		out = append(out, Figure{name, f})
	}
	return out
}

// corners are the points of stairs joined by straight lines.
func corners(x, y []float64) (cx, cy []float64) {
	for i := range x {
		if i > 0 {
			cx, cy = append(cx, x[i]), append(cy, y[i-1])
		}
		cx, cy = append(cx, x[i]), append(cy, y[i])
	}
	return cx, cy
}

func scaled(y []float64, by float64) []float64 {
	out := make([]float64, len(y))
	for i, v := range y {
		out[i] = v * by
	}
	return out
}
