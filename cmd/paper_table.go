package cmd

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ecospa/ecospa/pkg/chart"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
	"github.com/ecospa/ecospa/pkg/report"
)

// PaperResult is what bench paper prints with --json.
type PaperResult struct {
	Out   string           `json:"out"`
	Quick bool             `json:"quick"`
	Rows  []PaperRowResult `json:"rows"`
}

// PaperRowResult is one row.
type PaperRowResult struct {
	Name       string         `json:"name"`
	Title      string         `json:"title"`
	Paper      string         `json:"paper"`                // the paper's figure
	Variants   []PaperSummary `json:"variants,omitempty"`   // of runs
	Comparison string         `json:"comparison,omitempty"` // table of a comparison, from OUT
}

// PaperSummary is a variant over its seeds: means, and where quality or time is
// claimed the standard deviation.
type PaperSummary struct {
	Name        string      `json:"name"`
	Seeds       int         `json:"seeds"`
	Params      Spread      `json:"params"`
	Prunable    Spread      `json:"prunable"`
	Perplexity  Spread      `json:"perplexity"`
	Seconds     Spread      `json:"seconds"`
	Ms          Spread      `json:"ms"`
	PlannedPeak Spread      `json:"planned_peak"`
	Planned     Spread      `json:"planned"`
	Prefill     Spread      `json:"prefill"`
	Decode      Spread      `json:"decode"`
	Cells       []PaperCell `json:"cells"`
}

func summarize(name string, cells []PaperCell) PaperSummary {
	over := func(of func(PaperCell) float64) Spread {
		x := make([]float64, len(cells))
		for i, c := range cells {
			x[i] = of(c)
		}
		return spread(x)
	}
	return PaperSummary{
		Name: name, Seeds: len(cells), Cells: cells,
		Params:      over(func(c PaperCell) float64 { return float64(c.Params) }),
		Prunable:    over(func(c PaperCell) float64 { return float64(c.Prunable) }),
		Perplexity:  over(func(c PaperCell) float64 { return c.Perplexity }),
		Seconds:     over(func(c PaperCell) float64 { return c.Seconds }),
		Ms:          over(func(c PaperCell) float64 { return c.Ms }),
		PlannedPeak: over(func(c PaperCell) float64 { return float64(c.PlannedPeak) }),
		Planned:     over(func(c PaperCell) float64 { return float64(c.Planned) }),
		Prefill:     over(func(c PaperCell) float64 { return c.Prefill }),
		Decode:      over(func(c PaperCell) float64 { return c.Decode }),
	}
}

// paperColumns are the figures of a table.
var paperColumns = []struct {
	name   string
	of     func(PaperSummary) Spread
	format string
	by     float64 // figures are divided by it
}{
	{"parameters", func(s PaperSummary) Spread { return s.Params }, "%.0f", 1},
	{"of them prunable", func(s PaperSummary) Spread { return s.Prunable }, "%.0f", 1},
	{"perplexity", func(s PaperSummary) Spread { return s.Perplexity }, "%.2f", 1},
	{"seconds in steps", func(s PaperSummary) Spread { return s.Seconds }, "%.0f", 1},
	{"ms a step at the end", func(s PaperSummary) Spread { return s.Ms }, "%.1f", 1},
	{"planned MiB, most", func(s PaperSummary) Spread { return s.PlannedPeak }, "%.0f", 1 << 20},
	{"planned MiB at the end", func(s PaperSummary) Spread { return s.Planned }, "%.0f", 1 << 20},
	{"prefill tokens/s", func(s PaperSummary) Spread { return s.Prefill }, "%.0f", 1},
	{"decoded tokens/s", func(s PaperSummary) Spread { return s.Decode }, "%.0f", 1},
}

func (r PaperResult) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The paper's claims, at the size of this machine\n\n%s, %s/%s, %d cores, path %s, ecospa %s. A row's first variant is what the others are divided by. ± is the standard deviation over seeds. Memory is planned memory.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), kernelPath(), Version)
	if r.Quick {
		b.WriteString("\n**A quick look: the runs are far too short to say anything about quality.**\n")
	}
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "\n## %s\n\n", row.Title)
		if row.Paper != "" {
			fmt.Fprintf(&b, "The paper: %s.\n\n", row.Paper)
		}
		if row.Comparison != "" {
			fmt.Fprintf(&b, "[%s](%s)\n", row.Comparison, filepath.ToSlash(row.Comparison))
			continue
		}
		b.WriteString("| |")
		for _, v := range row.Variants {
			fmt.Fprintf(&b, " %s |", v.Name)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(row.Variants)) + "\n")
		for _, c := range paperColumns {
			fmt.Fprintf(&b, "| %s |", c.name)
			first := c.of(row.Variants[0]).Mean
			for i, v := range row.Variants {
				s := c.of(v)
				fmt.Fprintf(&b, " "+c.format, s.Mean/c.by)
				if v.Seeds > 1 && s.Spread > 0 {
					fmt.Fprintf(&b, " ± "+c.format, s.Spread/c.by)
				}
				if i > 0 && first > 0 {
					fmt.Fprintf(&b, " (%.2fx)", s.Mean/first)
				}
				b.WriteString(" |")
			}
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "| seeds |%s\n", strings.Repeat(fmt.Sprintf(" %d |", row.Variants[0].Seeds), len(row.Variants)))
		fmt.Fprintf(&b, "\n[report](%s.html), [plot](%s.png)\n", row.Name, row.Name)
	}
	return b.String()
}

// csv has a line a run.
func (r PaperResult) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"row", "variant", "seed", "params", "prunable", "perplexity", "seconds", "ms", "planned_peak", "planned", "prefill", "decode"})
	for _, row := range r.Rows {
		for _, v := range row.Variants {
			for _, c := range v.Cells {
				line := []string{row.Name, v.Name}
				for _, x := range []any{c.Seed, c.Params, c.Prunable, c.Perplexity, c.Seconds, c.Ms, c.PlannedPeak, c.Planned, c.Prefill, c.Decode} {
					line = append(line, fmt.Sprint(x))
				}
				w.Write(line)
			}
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// write leaves what is there of the results in OUT.
func (r PaperResult) write() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	table, err := r.csv()
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"paper.md": []byte(r.markdown()), "paper.csv": table, "result.json": append(text, '\n')} {
		if err := checkpoint.WriteFile(filepath.Join(r.Out, name), b); err != nil {
			return err
		}
	}
	return nil
}

// draw makes a row's plot, perplexity against parameters, and the report of its
// variants' first seeds.
func (p *paper) draw(row config.PaperRow, res PaperRowResult) error {
	f := chart.Lines{Axes: chart.Axes{Title: row.Title, X: "parameters", Y: "perplexity"}}
	var runs []*report.Run
	for _, v := range res.Variants {
		f.Curves = append(f.Curves, chart.Line{
			Name: v.Name, Dots: true, X: []float64{v.Params.Mean}, Y: []float64{v.Perplexity.Mean},
			Low: []float64{v.Perplexity.Mean - v.Perplexity.Spread}, High: []float64{v.Perplexity.Mean + v.Perplexity.Spread},
		})
		if len(runs) < report.MaxRuns {
			r, err := report.Open(filepath.Join(p.Out, v.Cells[0].Run))
			if err != nil {
				return badInput(err)
			}
			runs = append(runs, r)
		}
	}
	for _, ending := range chart.Formats {
		name := filepath.Join(p.Out, row.Name+ending)
		b, err := chart.Encode(f, name, 560, 380)
		if err != nil {
			return err
		}
		if err := checkpoint.WriteFile(name, b); err != nil {
			return err
		}
	}
	page, err := report.New(runs, Version)
	if err != nil {
		return err
	}
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		return err
	}
	return checkpoint.WriteFile(filepath.Join(p.Out, row.Name+".html"), html.Bytes())
}
