package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
)

// Written is what Pages.Write wrote.
type Written struct {
	Out   string   `json:"out"`
	Bytes int      `json:"bytes"`
	Plots []string `json:"plots"` // files of --png
	Runs  []Facts  `json:"runs"`
}

// Pages are a page of runs, and with Refresh the newer ones that replace it.
type Pages struct {
	Runs    []string // run directories
	Out     string   // HTML file
	PNG     string   // directory for plots; empty for none
	Refresh int      // seconds between two pages of a run that goes on; 0 is one page
	Version string   // of the program
	Sort    string   // column by which several runs are sorted (Columns), the best first; "" as they are named
	Axes    Axes
	Note    func(line string)
}

// ErrCount is what too many runs are, or an unknown column to sort them by.
var ErrCount = errors.New("report")

// Write reads the runs and writes the page and the plots, with Refresh until all runs are
// finished or ctx ends.
func (o Pages) Write(ctx context.Context) (*Written, error) {
	for {
		runs, err := o.open()
		if err != nil {
			return nil, err
		}
		goingOn := o.Refresh > 0 && slices.ContainsFunc(runs, func(r *Run) bool { return r.Summary == nil })
		res, err := o.write(runs, goingOn)
		if err != nil {
			return nil, err
		}
		if !goingOn {
			return &res, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(o.Refresh) * time.Second):
		}
	}
}

// open reads the runs. Of several directories those without a run are left out.
func (o Pages) open() (runs []*Run, err error) {
	var none error
	for _, dir := range o.Runs {
		_, missing := os.Stat(filepath.Join(dir, "metrics.jsonl"))
		r, err := Open(dir)
		switch {
		case err == nil:
			runs = append(runs, r)
		case len(o.Runs) > 1 && errors.Is(missing, os.ErrNotExist):
			none = err
			o.Note(dir + " holds no run and is left out")
		default:
			return nil, fault.BadInput(err)
		}
	}
	switch n := len(runs); {
	case n == 0:
		return nil, fault.BadInput(none)
	case n > MaxRuns:
		return nil, fmt.Errorf("%w: %d runs, expected 1 to %d", ErrCount, n, MaxRuns)
	}
	if o.Sort != "" {
		return runs, sortRuns(runs, o.Sort)
	}
	sortBySweep(runs)
	return runs, nil
}

func (o Pages) write(runs []*Run, goingOn bool) (res Written, err error) {
	page, err := New(runs, o.Version, o.Axes)
	if err != nil {
		return res, err
	}
	if goingOn {
		page.Refresh = o.Refresh
	}
	if len(runs) == 1 {
		page.Next = next(runs[0])
	}
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		return res, err
	}
	if err := checkpoint.WriteFile(o.Out, html.Bytes()); err != nil {
		return res, err
	}
	res = Written{Out: o.Out, Bytes: html.Len(), Plots: []string{}}
	for _, r := range runs {
		res.Runs = append(res.Runs, r.Facts())
	}
	if o.PNG != "" {
		res.Plots, err = writePlots(runs, o.PNG, o.Axes)
	}
	return res, err
}

// String names the files.
func (r *Written) String() string {
	s := fmt.Sprintf("%s (%s)\n", r.Out, units.Bytes(int64(r.Bytes)))
	for _, p := range r.Plots {
		s += p + "\n"
	}
	return s
}

// next is what is likely to be typed after a run.
func next(r *Run) []Advice {
	if r.Summary == nil {
		command := "pretrain"
		if c, err := config.Parse([]byte(r.Config), nil); err == nil && c.From != "" {
			command = "finetune"
		}
		return []Advice{{What: "resume it, should it have stopped", Command: "ecospa " + command + " --resume --out " + r.Dir}}
	}
	if f := r.Facts(); f.After.ValTop1 != nil {
		return []Advice{
			{What: "measure it on other images", Command: "ecospa eval --model " + r.Dir + " --data IMAGES"},
			{What: "take it to another program", Command: "ecospa export --model " + r.Dir + " --format onnx --out model.onnx"},
		}
	}
	if r.encoder() {
		return []Advice{
			{What: "make vectors of texts", Command: "ecospa embed --model " + r.Dir + " --data TEXT --pooling mean --out vectors.npy"},
			{What: "measure it on another text", Command: "ecospa eval --model " + r.Dir + " --data TEXT"},
			{What: "make it smaller still", Command: "ecospa prune --from " + r.Dir + " --data TEXT --target 0.7x --out smaller"},
			{What: "take it to another program", Command: "ecospa export --model " + r.Dir + " --format onnx --out model.onnx"},
		}
	}
	return []Advice{
		{What: "let it write", Command: "ecospa generate --model " + r.Dir + " --prompt 'Once upon a time'"},
		{What: "measure it on another text", Command: "ecospa eval --model " + r.Dir + " --data TEXT"},
		{What: "make it smaller still", Command: "ecospa prune --from " + r.Dir + " --data TEXT --target 0.7x --out smaller"},
		{What: "take it to llama.cpp", Command: "ecospa export --model " + r.Dir + " --format gguf --out model.gguf"},
	}
}

// encoder reports whether the model writes nothing. Summaries of before do not say it; then
// the run file does, of a run that made its model.
func (r *Run) encoder() bool {
	c, err := config.Parse([]byte(r.Config), nil)
	return r.Summary.Encoder || err == nil && c.Model.Encoder()
}

func writePlots(runs []*Run, dir string, a Axes) (names []string, err error) { // names of the files
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	figures, err := Figures(runs[:min(len(runs), maxDrawn)], a)
	if err != nil {
		return nil, err
	}
	for _, f := range figures {
		name := filepath.Join(dir, f.Key+".png")
		png, err := f.Encode(name, 480, 300)
		if err != nil {
			return names, fmt.Errorf("draw %s: %w", name, err)
		}
		if err := checkpoint.WriteFile(name, png); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}
