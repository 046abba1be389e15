package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/config"
)

// PaperOptions is what of a file of experiments is made, and from which data.
type PaperOptions struct {
	Data       string   // text
	Other      string   // another text, for fine-tuning
	Images     string   // to learn from
	ImagesTest string   // held out
	Out        string   // directory of the results, over the file's
	Only       []string // rows; empty for all
	Quick      bool     // that it works, not what it gives
	// Command is the command line that makes a row again from the kinds of data given.
	Command func(row string, kinds []string) string
}

// NeedsError is returned for a row whose data were not given.
type NeedsError struct {
	Row  string
	Kind string // text, other, images or images-test
}

func (e *NeedsError) Error() string {
	return fmt.Sprintf("the row %s needs data of the kind %s", e.Row, e.Kind)
}

// ErrRow is returned for a row that the file does not have.
var ErrRow = errors.New("no such row")

// Paper makes the rows that are missing and reports all that were asked for. Every run
// is a run directory under Out, and every result a file of its own, so that an
// interrupted call goes on where it stopped.
func Paper(ctx context.Context, file config.Paper, o PaperOptions, e Env) (*PaperResult, error) {
	if o.Out != "" {
		file.Out = o.Out
	}
	p := &paper{Paper: file, Env: e, quick: o.Quick, PaperOptions: o, Out: file.Out, ctx: ctx, rates: map[string]float64{}}
	if o.Quick {
		p.Seeds = file.Quick.Seeds
	}
	rows, err := p.chosen()
	if err != nil {
		return nil, err
	}
	if err := p.estimate(rows); err != nil {
		return nil, err
	}
	r := &PaperResult{Out: p.Out, Quick: o.Quick}
	for _, row := range rows {
		p.say("== %s: %s", row.Name, row.Title)
		res, err := p.row(row)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.Name, err)
		}
		r.Rows = append(r.Rows, res)
		if err := r.write(); err != nil { // after every row: the next ones can take hours
			return nil, err
		}
	}
	return r, nil
}

// paper is the experiments under way.
type paper struct {
	config.Paper
	PaperOptions
	Env
	Out   string
	ctx   context.Context
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
			return nil, fmt.Errorf("%w: %q, expected one of %s", ErrRow, only, strings.Join(names, ", "))
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
				return nil, &NeedsError{row.Name, need}
			}
		}
	}
	return rows, nil
}

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
	res.finish()
	if res.Claims, err = claims(row, res.Variants, p.quick); err != nil {
		return res, err
	}
	return res, p.draw(row, &res)
}

// command is what makes the row again.
func (p *paper) command(row *config.PaperRow) string {
	var given []string
	for _, need := range p.needs(row) {
		if !slices.Contains(given, need) {
			given = append(given, need)
		}
	}
	return p.Command(row.Name, given)
}
