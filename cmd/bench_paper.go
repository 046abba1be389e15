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

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/pkg/config"
)

// PaperOptions is what the flags of bench paper say.
type PaperOptions struct {
	Config     string
	Data       string   // text
	Other      string   // another text, for fine-tuning
	Images     string   // to learn from
	ImagesTest string   // held out
	Out        string   // over out
	Only       []string // rows; empty for all
	Quick      bool
	JSON       bool
}

func benchPaperCommand() *cli.Command {
	return &cli.Command{
		Name:  "paper",
		Usage: "make the paper's claims again, at the size of this machine",
		Description: "Says first how long it will take, from steps that it times. Every run is a run directory under OUT, and every\n" +
			"result a file of its own, so that an interrupted command goes on where it stopped. Writes OUT/paper.md, paper.csv and\n" +
			"result.json, plots and a report a row. A row that needs another row's models makes them, if they are not there.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Required: true, Usage: "`FILE` of experiments (YAML)"},
			&cli.StringFlag{Name: "data", Usage: "text: a .txt, .jsonl or .parquet file, a folder or a glob `PATH`"},
			&cli.StringFlag{Name: "other-data", Usage: "another text, on which models are fine-tuned, `PATH`"},
			&cli.StringFlag{Name: "images", Usage: "images to learn from: a folder of class folders, a CSV or an IDX file, `PATH`"},
			&cli.StringFlag{Name: "images-test", Usage: "held-out images, `PATH`"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` of the results (over the file's out)"},
			&cli.StringSliceFlag{Name: "only", Usage: "this `ROW` only; may be repeated"},
			&cli.BoolFlag{Name: "quick", Usage: "a quick look: that it works, not what it gives"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			return RunPaper(c.Context, PaperOptions{
				Config: c.String("config"), Data: c.String("data"), Other: c.String("other-data"), Images: c.String("images"), ImagesTest: c.String("images-test"),
				Out: c.String("out"), Only: c.StringSlice("only"), Quick: c.Bool("quick"), JSON: c.Bool("json"),
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
		return fault.Usage(errors.New("bench paper: give --out DIR"))
	}
	p := &paper{Paper: file, quick: o.Quick, PaperOptions: o, Out: file.Out, ctx: ctx, log: log, rates: map[string]float64{}}
	if o.Quick {
		p.Seeds = file.Quick.Seeds
	}
	rows, err := p.chosen()
	if err != nil {
		return fault.Usage(err)
	}
	if err := p.estimate(rows); err != nil {
		return err
	}
	r := PaperResult{Out: p.Out, Quick: o.Quick}
	for _, row := range rows {
		fmt.Fprintf(log, "== %s: %s\n", row.Name, row.Title)
		res, err := p.row(row)
		if stopped(err) {
			fmt.Fprintf(log, "stopped; the same command goes on\n")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		r.Rows = append(r.Rows, res)
		if err := r.write(); err != nil { // after every row: the next ones can take hours
			return err
		}
	}
	if o.JSON {
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "%s\n%s\n", r.markdown(), filepath.Join(p.Out, "{paper.md,paper.csv,result.json}"))
	return nil
}

// paper is the experiments under way.
type paper struct {
	config.Paper
	PaperOptions
	Out   string
	ctx   context.Context
	log   io.Writer
	quick bool
	rates map[string]float64 // tokens a second, measured for the estimate
}

// chosen is the rows that were asked for, if the data that they need were given.
func (p *paper) chosen() ([]*config.PaperRow, error) {
	var names []string
	for _, r := range p.Rows {
		names = append(names, r.Name)
	}
	for _, only := range p.Only {
		if !slices.Contains(names, only) {
			return nil, fmt.Errorf("--only %q is no row, expected one of %s", only, strings.Join(names, ", "))
		}
	}
	var rows []*config.PaperRow
	for i := range p.Rows {
		row := &p.Rows[i]
		if len(p.Only) > 0 && !slices.Contains(p.Only, row.Name) {
			continue
		}
		rows = append(rows, row)
		for _, need := range p.needs(row) {
			if p.data(need) == "" {
				return nil, fmt.Errorf("the row %s needs --%s PATH", row.Name, dataFlags[need])
			}
		}
	}
	return rows, nil
}

// dataFlags are the flags that give a row's data.
var dataFlags = map[string]string{"text": "data", "other": "other-data", "images": "images", "images-test": "images-test"}

func (p *paper) data(kind string) string {
	return map[string]string{"text": p.PaperOptions.Data, "other": p.Other, "images": p.Images, "images-test": p.ImagesTest}[kind]
}

// needs is the data that a row and the rows that it begins with are made from.
func (p *paper) needs(row *config.PaperRow) []string {
	if row.Bench.Mode != "" {
		return nil
	}
	need := []string{row.Data}
	if row.Data == "images" {
		need = append(need, "images-test")
	}
	for _, v := range row.Variants {
		if from, _ := p.Variant(v.From); from != nil {
			need = append(need, from.Data)
		}
	}
	return need
}

// row makes one row, seed by seed, so that what is compared is made close together.
func (p *paper) row(row *config.PaperRow) (PaperRowResult, error) {
	res := PaperRowResult{Name: row.Name, Title: row.Title, Paper: row.Paper, Command: p.command(row)}
	var err error
	switch {
	case row.Compare != "":
		res.Variants, err = p.compare(row)
	case row.Bench.Mode != "":
		res.Variants, err = p.bench(row, &res)
	default:
		cells := make([][]PaperCell, len(row.Variants))
		for _, seed := range p.Seeds {
			for i := range row.Variants {
				c, err := p.run(row, &row.Variants[i], seed)
				if err != nil {
					return res, fmt.Errorf("%s, seed %d: %w", row.Variants[i].Name, seed, err)
				}
				cells[i] = append(cells[i], c)
			}
		}
		for i, v := range row.Variants {
			res.Variants = append(res.Variants, summarize(v, cells[i]))
		}
	}
	if err != nil {
		return res, err
	}
	res.settle()
	if res.Claims, err = claims(row, res.Variants, p.quick); err != nil {
		return res, err
	}
	return res, p.draw(row, &res)
}

// command is what makes the row again.
func (p *paper) command(row *config.PaperRow) string {
	s := "ecospa bench paper -c " + p.PaperOptions.Config
	var given []string
	for _, need := range p.needs(row) {
		if !slices.Contains(given, need) {
			given = append(given, need)
			s += fmt.Sprintf(" --%s %s", dataFlags[need], p.data(need))
		}
	}
	s += " --out " + p.Out + " --only " + row.Name
	if p.quick {
		s += " --quick"
	}
	return s
}
