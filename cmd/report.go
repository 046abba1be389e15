package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
)

// ReportOptions is what the flags of report say.
type ReportOptions struct {
	Runs    []string // run directories
	Out     string   // HTML file
	PNG     string   // directory for plots; empty for none
	Sort    string   // column by which several runs are sorted
	Refresh int      // seconds between two pages of a run that goes on; 0 is one page
	Axes    report.Axes
	JSON    bool
}

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "show runs as one HTML page",
		ArgsUsage: "RUN...",
		Description: "Writes one HTML file without scripts, which opens from disk and fetches nothing: figures before and after,\n" +
			"what the run cost, what to type next, loss and perplexity with the pruning events, memory by purpose, speed, what\n" +
			"was pruned layer by layer with its scores, configuration and samples. Several runs (up to 100) are listed in a table; the first eight are shown side by side.\n" +
			"A run may still be in progress. With several directories, those that hold no run are skipped with a note.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "HTML `FILE` to write; default RUN/report.html, or report.html for several runs"},
			&cli.StringFlag{Name: "sort", Usage: "`COLUMN` by which several runs are sorted, best first: " + strings.Join(report.Columns(), ", ")},
			&cli.StringFlag{Name: "png", Usage: "also write the plots as PNG files into `DIR`"},
			&cli.IntFlag{Name: "refresh", Usage: "while a run is in progress: rewrite the page every `SECONDS`; the browser reloads it"},
			&cli.StringFlag{Name: "x", Usage: "`AXIS` of the plots: step, tokens, flops or hours; default step, or tokens where steps of the runs differ"},
			&cli.StringFlag{Name: "log", Usage: "logarithmic `AXES`: x, y or xy"},
			&cli.StringFlag{Name: "zoom", Usage: "draw only `FROM:TO` of the x axis"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o := ReportOptions{Runs: c.Args().Slice(), Out: c.String("out"), PNG: c.String("png"), Sort: c.String("sort"), Refresh: c.Int("refresh"), JSON: c.Bool("json")}
			var err error
			if o.Axes, err = report.ParseAxes(c.String("x"), c.String("log"), c.String("zoom")); err != nil {
				return fault.Usage(err)
			}
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
	p := report.Pages{Runs: o.Runs, Out: o.Out, PNG: o.PNG, Sort: o.Sort, Refresh: o.Refresh, Axes: o.Axes, Version: Version}
	p.Note = func(line string) { fmt.Fprintln(log, "note: "+line) }
	r, err := p.Write(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return errInterrupted
	}
	if errors.Is(err, report.ErrCount) {
		return fault.Usage(err)
	}
	if err != nil {
		return err
	}
	return show(out, r, o.JSON)
}
