package lab

import (
	"bytes"
	"path/filepath"
	"strings"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
)

// drawn are the figures that have a plot, against parameters.
var drawn = []string{"perplexity", "cut_perplexity", "top1", "increase", "behind"}

// draw makes a row's plots, and the report of its variants' first seeds.
func (p *paper) draw(row *config.PaperRow, res *PaperRowResult) error {
	for _, name := range drawn {
		f, ok := plotOf(res, *figureNamed(name))
		if !ok {
			continue
		}
		plot := row.Name + "-" + strings.ReplaceAll(name, "_", "-")
		for _, ending := range report.Formats {
			b, err := f.Encode(plot+ending, 640, 420)
			if err != nil {
				return err
			}
			if err := checkpoint.WriteFile(filepath.Join(p.Out, plot+ending), b); err != nil {
				return err
			}
		}
		res.Plots = append(res.Plots, plot+".png")
	}
	var runs []*report.Run
	for _, v := range res.Variants {
		if run := v.Cells[0].Run; run != "" && len(runs) < report.MaxRuns {
			r, err := report.Open(filepath.Join(p.Out, run))
			if err != nil {
				return fault.BadInput(err)
			}
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	page, err := report.New(runs, p.Version, report.Axes{})
	if err != nil {
		return err
	}
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		return err
	}
	res.Report = row.Name + ".html"
	return checkpoint.WriteFile(filepath.Join(p.Out, res.Report), html.Bytes())
}

// plotOf is a figure against the share removed of a comparison, the parameters of
// other runs, or their seconds where all have as many: a curve a method, and a dot
// for every variant that is of none.
func plotOf(res *PaperRowResult, f paperFigure) (report.Chart, bool) {
	x := *figureNamed("params")
	fig := report.Chart{Title: res.Title, X: "million parameters", Unit: f.title}
	x.by = 1e6
	var least, most float64
	for i, v := range res.Variants {
		n := v.Figures["params"].Mean
		if i == 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	switch {
	case f.name == "increase" || f.name == "behind":
		x = *figureNamed("removed")
		fig.X = x.title
	case most < 1.01*least:
		x = *figureNamed("seconds")
		fig.X = x.title
	}
	at := map[string]int{}
	for _, v := range res.Variants {
		y, ok := v.Figures[f.name]
		if !ok {
			continue
		}
		name := v.method
		if v.budget == "" {
			name = v.Name
		}
		i, ok := at[name]
		if !ok {
			i, at[name] = len(fig.Curves), len(fig.Curves)
			fig.Curves = append(fig.Curves, report.Curve{Name: name, Style: i, Dots: true, Scatter: v.budget == ""})
		}
		c := &fig.Curves[i]
		c.X, c.Y = append(c.X, v.Figures[x.name].Mean/x.by), append(c.Y, y.Mean/f.by)
		c.Low, c.High = append(c.Low, (y.Mean-y.Spread)/f.by), append(c.High, (y.Mean+y.Spread)/f.by)
	}
	return fig, len(fig.Curves) > 0
}
