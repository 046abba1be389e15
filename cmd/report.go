package cmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// ReportOptions is what the flags of report say.
type ReportOptions struct {
	Runs []string // run directories
	Out  string   // HTML file
	PNG  string   // directory for plots; empty for none
	JSON bool
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
		Description: "Writes one HTML file without scripts, which opens from disk and fetches nothing: loss and perplexity\n" +
			"with the pruning events, memory by purpose, speed, what was pruned layer by layer with its scores, tables before\n" +
			"and after, configuration and samples. Several runs (up to 8) are shown side by side. A run may still be going on.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "HTML `FILE` to write; default RUN/report.html, with several runs report.html"},
			&cli.StringFlag{Name: "png", Usage: "also write the plots as PNG files into `DIR`"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o := ReportOptions{Runs: c.Args().Slice(), Out: c.String("out"), PNG: c.String("png"), JSON: c.Bool("json")}
			switch n := len(o.Runs); {
			case n == 0 || n > report.MaxRuns:
				return fault.Usage(fmt.Errorf("report: %d run directories, expected 1 to %d", n, report.MaxRuns))
			case o.Out == "" && n == 1:
				o.Out = filepath.Join(o.Runs[0], "report.html")
			case o.Out == "":
				o.Out = "report.html"
			case filepath.Ext(o.Out) != ".html":
				return fault.Usage(fmt.Errorf("--out is %q, expected a name that ends in .html", o.Out))
			}
			return RunReport(o, c.App.Writer)
		},
	}
}

// RunReport reads the runs and writes the page and the plots.
func RunReport(o ReportOptions, out io.Writer) error {
	var runs []*report.Run
	for _, dir := range o.Runs {
		r, err := report.Open(dir)
		if err != nil {
			return fault.BadInput(err)
		}
		runs = append(runs, r)
	}
	page, err := report.New(runs, Version)
	if err != nil {
		return err
	}
	var html bytes.Buffer
	if err := page.WriteHTML(&html); err != nil {
		return err
	}
	if err := checkpoint.WriteFile(o.Out, html.Bytes()); err != nil {
		return err
	}
	res := ReportResult{Out: o.Out, Bytes: html.Len(), Plots: []string{}}
	for _, r := range runs {
		res.Runs = append(res.Runs, r.Facts())
	}
	if o.PNG != "" {
		if res.Plots, err = writePlots(runs, o.PNG); err != nil {
			return err
		}
	}
	if o.JSON {
		return printJSON(out, res)
	}
	fmt.Fprintf(out, "%s (%s)\n", res.Out, units.Bytes(int64(res.Bytes)))
	for _, p := range res.Plots {
		fmt.Fprintln(out, p)
	}
	return nil
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
