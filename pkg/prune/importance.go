package prune

import (
	"fmt"
	"sort"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
)

// ImportanceRow is the scores of the units of one kind in one layer.
type ImportanceRow struct {
	Layer  int          `json:"layer"`
	Kind   coupled.Kind `json:"kind"`
	Units  int          `json:"units"` // over all lists
	Total  float64      `json:"total"`
	Min    float64      `json:"min"`
	P10    float64      `json:"p10"`
	Median float64      `json:"median"`
	P90    float64      `json:"p90"`
	Max    float64      `json:"max"`
	// LowerHalf is the share of Total in the lower half of the units: what
	// removing half of them takes.
	LowerHalf float64   `json:"lower_half"`
	Scores    []float64 `json:"-"` // rising
}

// Importance is what eval --importance prints with --json.
type Importance struct {
	Criterion string          `json:"criterion"`
	Sequences int             `json:"sequences"`
	Context   int             `json:"context"` // tokens of each
	Params    int             `json:"params"`
	Rows      []ImportanceRow `json:"rows"`
}

// Importance scores all units and says how the scores are distributed.
func (p *Job) Importance() (*Importance, error) {
	scores, err := p.Scores()
	if err != nil {
		return nil, err
	}
	r := &Importance{Criterion: p.Config.Criterion, Sequences: p.Data.Len(), Context: p.Data.Context, Params: p.Set.Count()}
	for _, g := range coupled.Groups(p.Set) {
		var v []float64
		for _, list := range scores[g.Dim] {
			v = append(v, list...)
		}
		sort.Float64s(v)
		row := ImportanceRow{
			Layer: g.Layer, Kind: g.Kind, Units: len(v), Min: v[0], P10: Quantile(v, 0.1), Median: Quantile(v, 0.5),
			P90: Quantile(v, 0.9), Max: v[len(v)-1], Scores: v,
		}
		for i, x := range v {
			row.Total += x
			if i < len(v)/2 {
				row.LowerHalf += x
			}
		}
		if row.Total > 0 {
			row.LowerHalf /= row.Total
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// String is a table, one row a layer and kind.
func (r *Importance) String() string {
	t := units.NewTable("layer", "kind", "units", "total", "min", "10 %", "median", "90 %", "max", "half")
	for _, x := range r.Rows {
		g := func(f float64) string { return fmt.Sprintf("%.2g", f) }
		t.Add(x.Layer, x.Kind, x.Units, g(x.Total), g(x.Min), g(x.P10), g(x.Median), g(x.P90), g(x.Max), fmt.Sprintf("%.3f", x.LowerHalf))
	}
	return t.String() + "half: the share of the total in the lower half of the units\n"
}
