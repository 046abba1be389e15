package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/train"
)

//go:embed page.html.tmpl style.css
var files embed.FS

var page = template.Must(template.New("page.html.tmpl").Funcs(template.FuncMap{
	"place": place, "count": count[int], "percent": percent, "style": class, "add": func(a, b float64) float64 { return a + b },
}).ParseFS(files, "page.html.tmpl"))

// MaxRuns is the number of runs that a page compares, and maxDrawn how many of them, the
// first, are drawn and shown one by one.
const (
	MaxRuns  = 100
	maxDrawn = 8
)

// Page is everything that a report shows, ready to be written.
type Page struct {
	Title   string
	Version string // of the program, for the last line
	CSS     template.CSS
	Refresh int      // seconds after which a browser loads the page anew; 0 is never
	Cost    string   // of one run: what it took
	Next    []Advice // of one run
	Hero    Plot     // the loss
	Plots   []Plot
	Folded  []Plot // memory, behind a line to click
	Tiles   []Tile
	Table   Comparison
	Ranking Comparison // all runs, a row each; of several
	Sweep   []Plot     // of runs of which one number differs: the loss against it
	Drawn   string     // of more runs than are drawn: which are
	Changes Differences
	Runs    []Section
}

// Advice is a command that is likely to come next.
type Advice struct{ What, Command string }

// Plot is a chart drawn for wide screens, for narrow ones, or once for both.
type Plot struct {
	Chart
	Views []View
}

// View is one drawing, with the class of the screens it is for.
type View struct {
	Class   string
	Picture Picture
}

// Section is what is shown of each run by itself.
type Section struct {
	Index    int
	Name     string
	Subtitle string
	Before   Comparison // before pruning against the end; no rows without pruning
	Widths   Widths
	Events   []EventView
	Sample   string
	Samples  []SampleView
	Config   string
}

// EventView is one pruning event.
type EventView struct {
	Step   string
	Facts  []string
	Kinds  []coupled.Kind
	Scores []ScoreRow
	Open   bool
}

// New makes the page of one run, or of up to MaxRuns side by side.
func New(runs []*Run, version string, a Axes) (*Page, error) {
	if len(runs) == 0 || len(runs) > MaxRuns {
		return nil, fmt.Errorf("report: %d runs, expected 1 to %d", len(runs), MaxRuns)
	}
	rename(runs)
	css, err := files.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	p := &Page{Title: runs[0].Name, Version: version, CSS: template.CSS(css)}
	if len(runs) > 1 {
		p.Title, p.Ranking = fmt.Sprintf("%d runs", len(runs)), ranking(runs)
		if c, ok := sweep(runs); ok {
			p.Sweep = []Plot{{c, []View{{"wide", drawPage(c, "sw", 1080, 320, false)}, {"narrow", drawPage(c, "sn", 400, 280, false)}}}}
		}
		if len(runs) > maxDrawn {
			p.Drawn = fmt.Sprintf("The first %d of the table are drawn.", maxDrawn)
			runs = runs[:maxDrawn]
		}
		p.Changes = differences(runs)
	} else {
		p.Tiles, p.Cost = tiles(runs[0].Facts()), cost(runs[0].Facts())
	}
	p.Table = compare(runs)
	list, err := charts(runs, a)
	if err != nil {
		return nil, err
	}
	for i, c := range list {
		id := fmt.Sprintf("p%d", i)
		if i == 0 {
			p.Hero = Plot{c, []View{{"wide", drawPage(c, id+"w", 1080, 320, c.Key == "loss" && c.Unit == lossUnit)}, {"narrow", drawPage(c, id+"n", 400, 280, false)}}}
			continue
		}
		v := []View{{"", drawPage(c, id, 400, 236, false)}}
		if c.Wide {
			v = []View{{"wide", drawPage(c, id+"w", 830, 236, false)}, {"narrow", drawPage(c, id, 400, 236, false)}}
		}
		if c.Stack != nil {
			p.Folded = append(p.Folded, Plot{c, v})
		} else {
			p.Plots = append(p.Plots, Plot{c, v})
		}
	}
	for i, r := range runs {
		p.Runs = append(p.Runs, section(i, r))
	}
	return p, nil
}

// rename makes the runs' names different from each other.
func rename(runs []*Run) {
	seen := map[string]int{}
	for _, r := range runs {
		if seen[r.Name]++; seen[r.Name] > 1 {
			r.Name = fmt.Sprintf("%s (%d)", r.Name, seen[r.Name])
		}
	}
}

// WriteHTML writes the page.
func (p *Page) WriteHTML(w io.Writer) error { return page.Execute(w, p) }

func section(i int, r *Run) Section {
	f := r.Facts()
	s := Section{Index: i, Name: r.Name, Subtitle: subtitle(r, f), Widths: widths(r.Plans), Config: r.Config}
	if f.Before != nil {
		s.Before = beforeAfter(f)
	}
	s.Samples = samples(r)
	if r.Summary != nil {
		s.Sample = r.Summary.Sample
	}
	happened := map[int]train.Event{}
	for _, e := range f.Events {
		happened[e.Step] = e
	}
	show := shown(r.Plans)
	for k, p := range r.Plans {
		v := EventView{Step: count(p.Step), Open: k == 0}
		v.Facts = append(v.Facts, number(float64(p.Before))+" → "+number(float64(p.After))+" parameters")
		if e, ok := happened[p.Step]; ok {
			v.Facts = append(v.Facts, "planned "+size(float64(e.PlannedFrom))+" → "+size(float64(e.PlannedTo)), "took "+number(e.Took.Seconds()*1e3)+" ms")
		}
		v.Facts = append(v.Facts, p.Criterion+", "+p.Allocation)
		if show[k] {
			v.Kinds, v.Scores = p.scores()
		}
		s.Events = append(s.Events, v)
	}
	return s
}

// cost is what a run took, in a sentence.
func cost(f Facts) string {
	s := fmt.Sprintf("It took %s for %s steps of training on %s tokens", duration(f.Seconds), count(f.Steps), number(float64(f.Tokens)))
	if n := len(f.Events); n > 0 {
		var pruning float64
		for _, e := range f.Events {
			pruning += e.Took.Seconds()
		}
		times := "once"
		if n > 1 {
			times = count(n) + " times"
		}
		s += fmt.Sprintf(", %s more for pruning %s", duration(pruning), times)
	}
	if f.PeakResident > 0 {
		s += ", and " + size(float64(f.PeakResident)) + " of memory at most"
	}
	if !f.Finished {
		return s + " so far."
	}
	if f.Load > 0 {
		s += fmt.Sprintf(". The machine was busy (load %.1f): times and speeds say little", f.Load)
	}
	return s + "."
}

// shown chooses the events whose scores are drawn: all, or with many groups the
// first, the middle and the last.
func shown(plans []Plan) map[int]bool {
	total := 0
	for _, p := range plans {
		total += len(p.Groups)
	}
	out := map[int]bool{0: true, len(plans) / 2: true, len(plans) - 1: true}
	for i := range plans {
		if total <= 800 {
			out[i] = true
		}
	}
	return out
}

func subtitle(r *Run, f Facts) string {
	s := count(f.Steps) + " steps, " + number(float64(f.Tokens)) + " tokens, " + duration(f.Seconds)
	if r.Summary != nil {
		return fmt.Sprintf("%s · %d threads, %s", s, r.Summary.Threads, r.Summary.Path)
	}
	return s + " so far"
}

func duration(seconds float64) string {
	switch s := int64(min(max(seconds, 0), 1e15)); {
	case s >= 3600:
		return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

func percent(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return "–"
	}
	return fmt.Sprintf("%.0f%%", 100*share)
}
