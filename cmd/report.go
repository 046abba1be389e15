package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/config"
)

// ReportOptions is what the flags of report say.
type ReportOptions struct {
	Runs    []string // run directories
	Out     string   // HTML file
	PNG     string   // directory for plots; empty for none
	Refresh int      // seconds between two pages of a run that goes on; 0 is one page
	JSON    bool
}

// ReportResult is what report prints with --json.
type ReportResult struct {
	Out   string         `json:"out"`
	Bytes int            `json:"bytes"`
	Plots []string       `json:"plots"` // files of --png
	Runs  []report.Facts `json:"runs"`
}

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "show runs as one HTML page",
		ArgsUsage: "RUN...",
		Description: "Writes one HTML file without scripts, which opens from disk and fetches nothing: figures before and after,\n" +
			"what the run cost, what to type next, loss and perplexity with the pruning events, memory by purpose, speed, what\n" +
			"was pruned layer by layer with its scores, configuration and samples. Several runs (up to 8) are shown side by side.\n" +
			"A run may still be going on. Of several directories those that hold no run are left out, with a note.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "HTML `FILE` to write; default RUN/report.html, with several runs report.html"},
			&cli.StringFlag{Name: "png", Usage: "also write the plots as PNG files into `DIR`"},
			&cli.IntFlag{Name: "refresh", Usage: "while a run goes on: write the page anew every `SECONDS`, which a browser then shows by itself"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o := ReportOptions{Runs: c.Args().Slice(), Out: c.String("out"), PNG: c.String("png"), Refresh: c.Int("refresh"), JSON: c.Bool("json")}
			switch n := len(o.Runs); {
			case n == 0:
				return fault.Usage(fmt.Errorf("report: no run directory, expected 1 to %d", report.MaxRuns))
			case o.Refresh < 0 || o.Refresh > 86400:
				return fault.Usage(fmt.Errorf("--refresh is %d, expected 0 to 86400 seconds", o.Refresh))
			case o.Out == "" && n == 1:
				o.Out = filepath.Join(o.Runs[0], "report.html")
			case o.Out == "":
				o.Out = "report.html"
			case filepath.Ext(o.Out) != ".html":
				return fault.Usage(fmt.Errorf("--out is %q, expected a name that ends in .html", o.Out))
			}
			return RunReport(c.Context, o, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// RunReport reads the runs and writes the page and the plots, with Refresh until all runs
// are finished.
func RunReport(ctx context.Context, o ReportOptions, out, log io.Writer) error {
	for {
		runs, err := o.open(log)
		if err != nil {
			return err
		}
		goingOn := o.Refresh > 0 && slices.ContainsFunc(runs, func(r *report.Run) bool { return r.Summary == nil })
		res, err := o.write(runs, goingOn)
		if err != nil {
			return err
		}
		if !goingOn {
			return res.print(out, o.JSON)
		}
		select {
		case <-ctx.Done():
			return errInterrupted
		case <-time.After(time.Duration(o.Refresh) * time.Second):
		}
	}
}

// open reads the runs. Of several directories those without a run are left out.
func (o ReportOptions) open(log io.Writer) (runs []*report.Run, err error) {
	var none error
	for _, dir := range o.Runs {
		_, missing := os.Stat(filepath.Join(dir, "metrics.jsonl"))
		r, err := report.Open(dir)
		switch {
		case err == nil:
			runs = append(runs, r)
		case len(o.Runs) > 1 && errors.Is(missing, os.ErrNotExist):
			none = err
			fmt.Fprintf(log, "note: %s holds no run and is left out\n", dir)
		default:
			return nil, fault.BadInput(err)
		}
	}
	switch n := len(runs); {
	case n == 0:
		return nil, fault.BadInput(none)
	case n > report.MaxRuns:
		return nil, fault.Usage(fmt.Errorf("report: %d runs, expected 1 to %d", n, report.MaxRuns))
	}
	return runs, nil
}

func (o ReportOptions) write(runs []*report.Run, goingOn bool) (res ReportResult, err error) {
	page, err := report.New(runs, Version)
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
	res = ReportResult{Out: o.Out, Bytes: html.Len(), Plots: []string{}}
	for _, r := range runs {
		res.Runs = append(res.Runs, r.Facts())
	}
	if o.PNG != "" {
		res.Plots, err = writePlots(runs, o.PNG)
	}
	return res, err
}

func (r ReportResult) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s (%s)\n", r.Out, units.Bytes(int64(r.Bytes)))
	for _, p := range r.Plots {
		fmt.Fprintln(out, p)
	}
	return nil
}

// next is what is likely to be typed after a run.
func next(r *report.Run) []report.Advice {
	if r.Summary == nil {
		command := "pretrain"
		if c, err := config.Parse([]byte(r.Config), nil); err == nil && c.From != "" {
			command = "finetune"
		}
		return []report.Advice{{What: "resume it, should it have stopped", Command: "ecospa " + command + " --resume --out " + r.Dir}}
	}
	if f := r.Facts(); f.After.ValTop1 != nil {
		return []report.Advice{
			{What: "measure it on other images", Command: "ecospa eval --model " + r.Dir + " --data IMAGES"},
			{What: "take it to another program", Command: "ecospa export --model " + r.Dir + " --format onnx --out model.onnx"},
		}
	}
	return []report.Advice{
		{What: "let it write", Command: "ecospa generate --model " + r.Dir + " --prompt 'Once upon a time'"},
		{What: "measure it on another text", Command: "ecospa eval --model " + r.Dir + " --data TEXT"},
		{What: "make it smaller still", Command: "ecospa prune --from " + r.Dir + " --data TEXT --target 0.7x --out smaller"},
		{What: "take it to llama.cpp", Command: "ecospa export --model " + r.Dir + " --format gguf --out model.gguf"},
	}
}

func writePlots(runs []*report.Run, dir string) (names []string, err error) { // names of the files
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, f := range report.Figures(runs) {
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
