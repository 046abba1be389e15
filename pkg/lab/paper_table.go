package lab

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
)

// PaperResult is what bench paper prints with --json.
type PaperResult struct {
	Out   string           `json:"out"`
	Quick bool             `json:"quick"`
	Rows  []PaperRowResult `json:"rows"`
}

// PaperRowResult is one row.
type PaperRowResult struct {
	Name     string         `json:"name"`
	Title    string         `json:"title"`
	Paper    string         `json:"paper"` // what the paper says
	Note     string         `json:"note,omitempty"`
	Claims   []PaperVerdict `json:"claims,omitempty"` // the paper's figures and ours
	Variants []PaperSummary `json:"variants"`
	Command  string         `json:"command"`
	Made     string         `json:"made"`             // date of the newest run
	Machines []string       `json:"machines"`         // on which it was made
	Hours    float64        `json:"hours"`            // of all runs, those of other rows that it begins with aside
	Report   string         `json:"report,omitempty"` // of the variants' first seeds, from OUT
	Plots    []string       `json:"plots,omitempty"`  // from OUT
}

// PaperSummary is a variant over its seeds.
type PaperSummary struct {
	Name    string            `json:"name"`
	Seeds   int               `json:"seeds"`
	Figures map[string]Spread `json:"figures"`
	Cells   []PaperCell       `json:"cells"`

	method, budget string // of one that was cut by a method
}

func summarize(v config.PaperVariant, cells []PaperCell) PaperSummary {
	s := PaperSummary{Name: v.Name, Seeds: len(cells), Cells: cells, Figures: map[string]Spread{}, method: v.Method.Name, budget: v.Budget}
	for _, f := range paperFigures {
		var x []float64
		for _, c := range cells {
			if v, ok := c.Figures[f.name]; ok {
				x = append(x, v)
			}
		}
		if len(x) > 0 && len(x) == len(cells) {
			s.Figures[f.name] = spread(x)
		}
	}
	return s
}

// finish fills in where the row was made and in what time.
func (r *PaperRowResult) finish() {
	for _, v := range r.Variants {
		for _, c := range v.Cells {
			r.Hours, r.Made = r.Hours+c.Seconds/3600, max(r.Made, c.Made)
			if !slices.Contains(r.Machines, c.Machine) {
				r.Machines = append(r.Machines, c.Machine)
			}
		}
	}
}

// paperFigure is a figure of a row's table.
type paperFigure struct {
	name, title, format string
	by                  float64 // it is divided by this when printed
	ratio               bool    // printed over the first variant's as well
	minor               bool    // left out of a table of many variants; it is in paper.csv
	timed               bool    // of a clock: other programs change it
}

var paperFigures = []paperFigure{
	{"params", "parameters", "%.0f", 1, true, false, false},
	{"prunable", "of them prunable", "%.0f", 1, true, true, false},
	{"removed", "prunable removed, %", "%.1f", 1, false, false, false},
	{"top1", "top-1, %", "%.2f", 1, false, false, false},
	{"perplexity", "perplexity", "%.2f", 1, false, false, false},
	{"cut_perplexity", "perplexity after the cut", "%.2f", 1, false, false, false},
	{"loss", "loss after the cut, nats", "%.4f", 1, false, false, false},
	{"increase", "loss over dense, nats", "%.4f", 1, false, false, false},
	{"recovered", "loss after recovery, nats", "%.4f", 1, false, false, false},
	{"behind", "loss over dense after recovery, nats", "%.4f", 1, false, false, false},
	{"prune_seconds", "seconds of pruning", "%.1f", 1, true, false, true},
	{"prune_peak", "peak resident MiB of pruning", "%.0f", 1 << 20, true, false, false},
	{"seconds", "seconds in steps", "%.0f", 1, true, false, true},
	{"ms", "ms a step at the end", "%.1f", 1, true, true, true},
	{"peak_rss", "peak resident MiB", "%.0f", 1 << 20, true, false, false},
	{"rss", "resident MiB at the end", "%.0f", 1 << 20, true, true, false},
	{"planned_peak", "planned MiB, most", "%.0f", 1 << 20, true, true, false},
	{"planned", "planned MiB at the end", "%.0f", 1 << 20, true, true, false},
	{"prefill", "prefill tokens/s", "%.0f", 1, true, false, true},
	{"decode", "decoded tokens/s", "%.0f", 1, true, false, true},
	{"batch_decode", "decoded tokens/s, 16 at once", "%.0f", 1, true, false, true},
	{"images", "images/s", "%.0f", 1, true, false, true},
}

func figureNamed(name string) *paperFigure {
	for i := range paperFigures {
		if paperFigures[i].name == name {
			return &paperFigures[i]
		}
	}
	return nil
}

func figureNames() string {
	var names []string
	for _, f := range paperFigures {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// show prints a figure of a variant; against, when it is above 0, is divided by as well.
func (f paperFigure) show(v PaperSummary, against float64) string {
	s, ok := v.Figures[f.name]
	if !ok {
		return ""
	}
	out := fmt.Sprintf(f.format, s.Mean/f.by)
	if v.Seeds > 1 && s.Spread > 0 {
		out += " ± " + fmt.Sprintf(f.format, s.Spread/f.by)
	}
	if against > 0 {
		out += fmt.Sprintf(" (%.2fx)", s.Mean/against)
	}
	return out
}

func (r PaperResult) Markdown() string {
	var b strings.Builder
	b.WriteString("# The paper's claims, at the size of this machine\n\nThe paper: EcoSpa, arXiv 2511.11641. Figures are means ± the sample standard deviation over seeds, of timings over times; a figure over another\n" +
		"and a difference are made seed by seed. Resident memory is that of the process while the run was all it did; planned memory is what the plan of a step takes.\n" +
		"Losses of runs are of the end of the run, not of the best step.\n")
	if r.Quick {
		b.WriteString("\n**A quick look: the runs are far too short to say anything about quality.**\n")
	}
	for _, row := range r.Rows {
		row.markdown(&b)
	}
	return b.String()
}

// Text is the tables and where the files are.
func (r PaperResult) Text() string {
	return r.Markdown() + "\n" + filepath.Join(r.Out, "{paper.md,paper.csv,result.json}") + "\n"
}

func (r PaperRowResult) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", r.Title)
	if r.Paper != "" {
		fmt.Fprintf(b, "The paper: %s.", r.Paper)
	}
	if r.Note != "" {
		fmt.Fprintf(b, " Here: %s", r.Note)
	}
	if r.Paper+r.Note != "" {
		b.WriteString("\n\n")
	}
	if len(r.Claims) > 0 {
		b.WriteString("| the paper | here | ours | wanted | reached |\n|---|---|---|---|---|\n")
		for _, c := range r.Claims {
			ours := fmt.Sprintf(c.show, c.Ours.Mean)
			if c.Ours.Spread > 0 {
				ours += " ± " + fmt.Sprintf(c.show, c.Ours.Spread)
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", c.Paper, c.What, ours, c.Wanted, c.verdict())
		}
		b.WriteString("\n")
		for _, c := range r.Claims {
			if !c.Reached && c.Why != "" {
				fmt.Fprintf(b, "Not reached, %s: %s\n\n", c.Paper, c.Why)
			}
		}
	}
	r.figures(b)
	of := "Seeds"
	if r.Variants[0].Cells[0].Set != nil && r.Variants[0].Cells[0].Run == "" {
		of = "Times"
	}
	fmt.Fprintf(b, "\n%s: %d. %s; %s, %s of runs.\n\n`%s`\n", of, r.Variants[0].Seeds, r.Made, strings.Join(r.Machines, "; "), units.Clock(units.Seconds(3600*r.Hours)), r.Command)
	if r.Report != "" {
		fmt.Fprintf(b, "\n[Report](%s) of each variant's first seed.\n", r.Report)
	}
	for _, p := range r.Plots {
		fmt.Fprintf(b, "\n![%s](%s)\n", strings.TrimSuffix(p, ".png"), p)
	}
}

// figures is the table: a line a figure where variants are few, else a line a variant.
func (r PaperRowResult) figures(b *strings.Builder) {
	var used []paperFigure
	for _, f := range paperFigures {
		if slices.ContainsFunc(r.Variants, func(v PaperSummary) bool { _, ok := v.Figures[f.name]; return ok }) {
			used = append(used, f)
		}
	}
	if len(r.Variants) > 5 {
		used = slices.DeleteFunc(used, func(f paperFigure) bool { return f.minor })
		b.WriteString("| |")
		for _, f := range used {
			fmt.Fprintf(b, " %s |", f.title)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(used)) + "\n")
		for _, v := range r.Variants {
			fmt.Fprintf(b, "| %s |", v.title())
			for _, f := range used {
				fmt.Fprintf(b, " %s |", f.show(v, 0))
			}
			b.WriteString("\n")
		}
		return
	}
	b.WriteString("| |")
	for _, v := range r.Variants {
		fmt.Fprintf(b, " %s |", v.title())
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.Variants)) + "\n")
	for _, f := range used {
		fmt.Fprintf(b, "| %s |", f.title)
		for i, v := range r.Variants {
			against := 0.0
			if i > 0 && f.ratio {
				against = r.Variants[0].Figures[f.name].Mean
			}
			fmt.Fprintf(b, " %s |", f.show(v, against))
		}
		b.WriteString("\n")
	}
}

// title is a variant's name, of a method with its budget.
func (s PaperSummary) title() string {
	if s.budget == "" {
		return s.Name
	}
	return s.method + ", " + s.budget
}

// csv has a line a figure of a run.
func (r PaperResult) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"row", "variant", "seed", "figure", "value", "run", "made", "machine"})
	for _, row := range r.Rows {
		for _, v := range row.Variants {
			for _, c := range v.Cells {
				for _, f := range paperFigures {
					if x, ok := c.Figures[f.name]; ok {
						w.Write([]string{row.Name, v.Name, fmt.Sprint(c.Seed), f.name, fmt.Sprint(x), c.Run, c.Made, c.Machine})
					}
				}
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
	for name, b := range map[string][]byte{"paper.md": []byte(r.Markdown()), "paper.csv": table, "result.json": append(text, '\n')} {
		if err := checkpoint.WriteFile(filepath.Join(r.Out, name), b); err != nil {
			return err
		}
	}
	return nil
}
