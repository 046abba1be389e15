package prune

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
)

// Sensitivities is what eval --sensitivity prints with --json.
type Sensitivities struct {
	Sequences int           `json:"sequences"` // that losses are measured on
	Context   int           `json:"context"`   // tokens of each
	Params    int           `json:"params"`
	Basis     string        `json:"basis"`
	Refit     string        `json:"compensate"`
	Kinds     []Sensitivity `json:"kinds"`
}

// Sensitivity measures every kind at the shares 0.9 to 0.1, by the default recipe.
func (p *Job) Sensitivity() (*Sensitivities, error) {
	p.Config.QKOrder, p.Config.FFNOrder = coupled.OrderAttention, coupled.OrderRefit
	if !p.Set.Dim("layer.0.qk").Track {
		p.Config.QKOrder = coupled.OrderScore
	}
	curves, err := p.Sensitivities(keptShares)
	if err != nil {
		return nil, err
	}
	return &Sensitivities{
		Sequences: min(p.Trial, p.Data.Len()), Context: p.Data.Context, Params: p.Set.Count(), Basis: p.Improve.Basis, Refit: p.Improve.Compensate, Kinds: curves,
	}, nil
}

// keptShares are where Sensitivity measures.
var keptShares = []float64{0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1}

// String is a table, one row a share and one column a kind.
func (r *Sensitivities) String() string {
	head := []string{"kept"}
	for _, c := range r.Kinds {
		head = append(head, string(c.Kind))
	}
	t := units.NewTable(head...)
	for i, kept := range append([]float64{1}, keptShares...) {
		row := []any{fmt.Sprintf("%.1f", kept)}
		for _, c := range r.Kinds {
			cell := "-"
			if i < len(c.Loss) {
				cell = fmt.Sprintf("%.4f", c.Loss[i])
			}
			row = append(row, cell)
		}
		t.Add(row...)
	}
	return t.String()
}
