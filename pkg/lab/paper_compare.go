package lab

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/config"
)

// comparison is a row's comparison file as it is run, with the methods that the row shows.
func (p *paper) comparison(row *config.PaperRow) (config.Compare, error) {
	path := p.File(row.Compare)
	set := slices.Clone(row.Set)
	if p.quick {
		set = append(set, row.Quick...)
	}
	c, err := config.LoadCompare(path, append(set, "train.data.synthetic=", "train.data.path="+p.data(row.Data), "out="+filepath.Join(p.Out, row.Folder)))
	if err != nil {
		return c, err
	}
	c.Seeds = p.Seeds
	if len(row.Show) > 0 {
		var shown []config.Method
		for _, name := range row.Show {
			i := slices.IndexFunc(c.Methods, func(m config.Method) bool { return m.Name == name })
			if i < 0 {
				return c, fmt.Errorf("%w: %s has no method %q, which the row %s shows", config.ErrConfig, path, name, row.Name)
			}
			shown = append(shown, c.Methods[i])
		}
		c.Methods = shown
	}
	c = c.Resolve()
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// compare makes a comparison; every method at every budget is a variant.
func (p *paper) compare(row *config.PaperRow) ([]PaperSummary, error) {
	file, err := p.comparison(row)
	if err != nil {
		return nil, err
	}
	cells, _, err := compareCells(p.ctx, file, p.Env)
	if err != nil {
		return nil, err
	}
	of := func(method, budget string) (out []PaperCell, err error) {
		for _, x := range cells {
			if x.Method == method && x.Budget == budget {
				c, err := p.compared(row, cells, x)
				if err != nil {
					return nil, err
				}
				out = append(out, c)
			}
		}
		return out, nil
	}
	dense, err := of(config.Dense, "")
	if err != nil {
		return nil, err
	}
	out := []PaperSummary{summarize(config.PaperVariant{Name: config.Dense}, dense)}
	for _, m := range file.Methods {
		for _, b := range file.Budgets {
			c, err := of(m.Name, b)
			if err != nil {
				return nil, err
			}
			out = append(out, summarize(config.PaperVariant{Name: config.Slug(m.Name + " " + b), Method: m, Budget: b}, c))
		}
	}
	return out, nil
}

// compared is a cell of a comparison as one of the paper's.
func (p *paper) compared(row *config.PaperRow, cells []CompareCell, x CompareCell) (PaperCell, error) {
	c := PaperCell{Seed: x.Seed, Machine: x.Machine, Made: x.Made, Seconds: x.Took, Figures: map[string]float64{"params": float64(x.Params), "loss": x.Loss, "removed": 100 * x.Removed}}
	i := slices.IndexFunc(cells, func(d CompareCell) bool { return d.Method == config.Dense && d.Seed == x.Seed })
	if x.Method == config.Dense {
		c.Run = filepath.Join(row.Folder, fmt.Sprintf("dense-%d", x.Seed))
		r, err := report.Open(filepath.Join(p.Out, c.Run))
		if err != nil {
			return c, fault.BadInput(err)
		}
		c.Seconds += r.Facts().Seconds
	} else {
		c.Figures["increase"] = x.Loss - cells[i].Loss
	}
	if x.Recovered != nil {
		c.Figures["recovered"] = *x.Recovered
		if x.Method != config.Dense {
			c.Figures["behind"] = *x.Recovered - *cells[i].Recovered
		}
	}
	return c, nil
}
