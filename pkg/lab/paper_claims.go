package lab

import (
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/config"
)

// PaperVerdict is a figure of the paper and ours beside it.
type PaperVerdict struct {
	Paper   string `json:"paper"`   // in words
	What    string `json:"what"`    // which figure, of what
	Ours    Spread `json:"ours"`    // over the seeds
	Wanted  string `json:"wanted"`  // at most or at least what
	Reached bool   `json:"reached"` // by the mean
	// Load is that of the machine where the figure is a time and other programs ran while it was
	// made: then Reached is false, and nothing is said.
	Load float64 `json:"load,omitempty"`
	Why  string  `json:"why,omitempty"`
	show string
}

// claims compares a row's claims with its variants. In a quick look a claim about a
// variant that was left out is left out as well.
func claims(row *config.PaperRow, variants []PaperSummary, quick bool) (out []PaperVerdict, err error) {
	find := func(name string) *PaperSummary {
		i := slices.IndexFunc(variants, func(v PaperSummary) bool { return v.Name == name })
		if i < 0 {
			return nil
		}
		return &variants[i]
	}
	for i, c := range row.Claims {
		f := figureNamed(c.Figure)
		if f == nil {
			return nil, fmt.Errorf("%w: rows %s claims[%d].figure is %q, expected one of %s", config.ErrConfig, row.Name, i, c.Figure, figureNames())
		}
		a, other := find(c.Of), c.Over+c.Minus
		var b *PaperSummary
		if other != "" {
			b = find(other)
		}
		if a == nil || other != "" && b == nil {
			if quick {
				continue
			}
			return nil, fmt.Errorf("%w: rows %s claims[%d] is about %q and %q, which are not all variants", config.ErrConfig, row.Name, i, c.Of, other)
		}
		ours, err := beside(c, a, b)
		if err != nil {
			return nil, fmt.Errorf("%w: rows %s claims[%d]: %w", config.ErrConfig, row.Name, i, err)
		}
		v := PaperVerdict{Paper: c.Paper, What: f.title + ", " + c.Of, Ours: ours}
		by := f.by
		switch {
		case c.Over != "":
			v.What += " over " + c.Over
			v.show, by = "%.2f", 1
		case c.Minus != "":
			v.What += " minus " + c.Minus
			v.show = f.format
		default:
			v.show = f.format
		}
		v.Ours.Mean /= by
		v.Ours.Spread /= by
		if c.AtMost != nil {
			v.Wanted, v.Reached = fmt.Sprintf("at most %g", *c.AtMost), v.Ours.Mean <= *c.AtMost
		} else {
			v.Wanted, v.Reached = fmt.Sprintf("at least %g", *c.AtLeast), v.Ours.Mean >= *c.AtLeast
		}
		if f.timed {
			v.Load = max(a.load(), b.load())
		}
		switch {
		case v.Load > 0:
			v.Reached = false
		case !v.Reached:
			v.Why = c.Why
		}
		out = append(out, v)
	}
	return out, nil
}

// load is the highest of the variant's cells; nil has none.
func (s *PaperSummary) load() (load float64) {
	if s != nil {
		for _, c := range s.Cells {
			load = max(load, c.Load)
		}
	}
	return load
}

// verdict is "yes", "no", or why neither.
func (v PaperVerdict) verdict() string {
	switch {
	case v.Load > 0:
		return fmt.Sprintf("not judged: the machine was busy (load %.1f)", v.Load)
	case v.Reached:
		return "yes"
	}
	return "**no**"
}

// beside is the claim's figure over the seeds, seed by seed.
func beside(c config.PaperClaim, a, b *PaperSummary) (Spread, error) {
	var x []float64
	for i, cell := range a.Cells {
		v, ok := cell.Figures[c.Figure]
		if !ok {
			return Spread{}, fmt.Errorf("%s has no %s", a.Name, c.Figure)
		}
		if b != nil {
			w, ok := b.Cells[i].Figures[c.Figure]
			if !ok {
				return Spread{}, fmt.Errorf("%s has no %s", b.Name, c.Figure)
			}
			if c.Over != "" {
				v /= w
			} else {
				v -= w
			}
		}
		x = append(x, v)
	}
	return spread(x), nil
}
