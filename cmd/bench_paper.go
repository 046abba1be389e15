package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ecospa/ecospa/pkg/config"
)

// PaperOptions is what the flags of bench paper say.
type PaperOptions struct {
	Config string
	Data   string   // text, over the files' data.path
	Out    string   // over out
	Only   []string // rows; empty for all
	Quick  bool
	JSON   bool
}

func benchPaperCommand() *cli.Command {
	return &cli.Command{
		Name:  "paper",
		Usage: "make the paper's claims again, at the size of this machine",
		Description: "Every run is a run directory under OUT, and every result a file of its own, so that an interrupted command\n" +
			"goes on where it stopped. Writes OUT/paper.md, paper.csv and result.json, a plot and a report a row. Memory is\n" +
			"planned memory: the runs share a process, so that a resident set would be that of those before as well.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Required: true, Usage: "`FILE` of experiments (YAML)"},
			&cli.StringFlag{Name: "data", Required: true, Usage: "text: a .txt or .jsonl file, a folder or a glob `PATH`"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` of the results (over the file's out)"},
			&cli.StringSliceFlag{Name: "only", Usage: "this `ROW` only; may be repeated"},
			&cli.BoolFlag{Name: "quick", Usage: "a quick look: that it works, not what it gives"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			return RunPaper(c.Context, PaperOptions{
				Config: c.String("config"), Data: c.String("data"), Out: c.String("out"), Only: c.StringSlice("only"), Quick: c.Bool("quick"), JSON: c.Bool("json"),
			}, c.App.Writer, c.App.ErrWriter)
		},
	}
}

// RunPaper makes the rows that are missing and reports all that were asked for.
func RunPaper(ctx context.Context, o PaperOptions, out, log io.Writer) error {
	file, err := config.LoadPaper(o.Config)
	if err != nil {
		return err
	}
	if o.Out != "" {
		file.Out = o.Out
	}
	if file.Out == "" {
		return usage(errors.New("bench paper: give --out DIR"))
	}
	var names []string
	for _, r := range file.Rows {
		names = append(names, r.Name)
	}
	for _, only := range o.Only {
		if !slices.Contains(names, only) {
			return usage(fmt.Errorf("--only %q is no row, expected one of %s", only, strings.Join(names, ", ")))
		}
	}
	p := &paper{Paper: file, ctx: ctx, log: log, data: o.Data}
	if o.Quick {
		p.Seeds, p.further = file.Quick.Seeds, file.Quick.Set
		p.compareSet = file.Quick.Compare
	}
	r := PaperResult{Out: file.Out, Quick: o.Quick}
	for _, row := range file.Rows {
		if len(o.Only) > 0 && !slices.Contains(o.Only, row.Name) {
			continue
		}
		fmt.Fprintf(log, "== %s: %s\n", row.Name, row.Title)
		res, err := p.row(row)
		if errors.Is(err, errInterrupted) {
			fmt.Fprintf(log, "stopped; the same command goes on\n")
		}
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, res)
		if err := r.write(); err != nil { // after every row: the next ones can take hours
			return err
		}
	}
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s\n%s\n", r.markdown(), filepath.Join(file.Out, "{paper.md,paper.csv,result.json}"))
	return nil
}

// paper is the experiments under way.
type paper struct {
	config.Paper
	ctx        context.Context
	log        io.Writer
	data       string
	further    []string // overrides of every run file
	compareSet []string
}

func (p *paper) row(row config.PaperRow) (PaperRowResult, error) {
	res := PaperRowResult{Name: row.Name, Title: row.Title, Paper: row.Paper}
	dir := filepath.Join(p.Out, row.Name)
	if row.Compare != "" {
		set := append(slices.Clone(p.compareSet), "train.data.synthetic=", "train.data.path="+p.data)
		err := RunCompare(p.ctx, CompareOptions{Config: p.File(row.Compare), Set: set, Out: dir}, io.Discard, p.log)
		res.Comparison = filepath.Join(row.Name, "table.md")
		return res, err
	}
	for _, v := range row.Variants {
		var cells []PaperCell
		for _, seed := range p.Seeds {
			set := slices.Concat(row.Set, v.Set, p.further, []string{fmt.Sprintf("train.seed=%d", seed), fmt.Sprintf("prune.seed=%d", seed)})
			c, err := p.cell(row, v.Name, seed, set)
			if err != nil {
				return res, fmt.Errorf("%s, %s, seed %d: %w", row.Name, v.Name, seed, err)
			}
			cells = append(cells, c)
		}
		res.Variants = append(res.Variants, summarize(v.Name, cells))
	}
	return res, p.draw(row, res)
}
