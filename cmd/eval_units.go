package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"

	"github.com/ecospa/ecospa/internal/fault"
	"github.com/ecospa/ecospa/internal/report"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/prune"
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
	LowerHalf float64 `json:"lower_half"`
}

// ImportanceResult is what eval --importance prints with --json.
type ImportanceResult struct {
	Criterion string          `json:"criterion"`
	Sequences int             `json:"sequences"`
	Context   int             `json:"context"` // tokens of each
	Params    int             `json:"params"`
	Rows      []ImportanceRow `json:"rows"`
}

// SensitivityResult is what eval --sensitivity prints with --json.
type SensitivityResult struct {
	Sequences int                `json:"sequences"` // that losses are measured on
	Context   int                `json:"context"`   // tokens of each
	Params    int                `json:"params"`
	Basis     string             `json:"basis"`
	Refit     string             `json:"compensate"`
	Kinds     []SensitivityCurve `json:"kinds"`
}

// SensitivityCurve is the loss against the kept share of one kind's units in every layer.
type SensitivityCurve struct {
	Kind coupled.Kind `json:"kind"`
	Kept []float64    `json:"kept"`
	Loss []float64    `json:"loss"` // nats a token
}

// keptShares are where eval --sensitivity measures.
var keptShares = []float64{0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1}

// units opens the model and the sequences that show what its units do.
func (o EvalOptions) units(log io.Writer) (*prune.Job, func(), error) {
	k := coupled.DefaultConfig()
	k.Criterion = o.Criterion
	if err := k.Validate(); err != nil {
		return nil, nil, fault.Usage(err)
	}
	b, w, err := o.open(log)
	if err != nil {
		return nil, nil, err
	}
	context, err := w.Context(b.Model, o.Context, 512)
	var s prune.Sequences
	if err == nil {
		s, err = w.Calibration(o.Sequences, context, k.Seed)
	}
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	on := subject(b, o.ranks.orAlone(), o.Threads)
	p := &prune.Job{
		Calibration: prune.Calibration{Model: on.Model, Set: on.Set, Pool: on.Pool, Data: s},
		Config:      k, Improve: coupled.DefaultImprove(), Trial: 8,
		Notify: func(e prune.Event) { fmt.Fprintln(log, e) },
	}
	return p, func() { on.Close(); b.Close() }, nil
}

// RunImportance prints and draws how scores are distributed.
func RunImportance(o EvalOptions, out, log io.Writer) error {
	p, done, err := o.units(log)
	if err != nil {
		return err
	}
	defer done()
	scores, err := p.Scores()
	if err != nil {
		return err
	}
	r := ImportanceResult{Criterion: o.Criterion, Sequences: p.Data.Len(), Context: p.Data.Context, Params: p.Set.Count()}
	fig := report.Chart{Title: "Importance of units, criterion " + o.Criterion, X: "layer", Unit: "score", LogY: true}
	for _, g := range coupled.Groups(p.Set) {
		var v []float64
		for _, list := range scores[g.Dim] {
			v = append(v, list...)
		}
		sort.Float64s(v)
		row := ImportanceRow{
			Layer: g.Layer, Kind: g.Kind, Units: len(v), Min: v[0], P10: report.Quantile(v, 0.1), Median: report.Quantile(v, 0.5),
			P90: report.Quantile(v, 0.9), Max: v[len(v)-1],
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
		fig.Bands = append(fig.Bands, report.Band{Name: strconv.Itoa(g.Layer), Group: string(g.Kind), Values: v})
	}
	if err := o.draw(fig); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, r)
	}
	t := newTable("layer", "kind", "units", "total", "min", "10 %", "median", "90 %", "max", "in the lower half")
	for _, x := range r.Rows {
		g := func(f float64) string { return fmt.Sprintf("%.3g", f) }
		t.add(x.Layer, x.Kind, x.Units, g(x.Total), g(x.Min), g(x.P10), g(x.Median), g(x.P90), g(x.Max), fmt.Sprintf("%.3f", x.LowerHalf))
	}
	t.print(out)
	return nil
}

// RunSensitivity prints and draws the loss against the kept share of each kind.
func RunSensitivity(o EvalOptions, out, log io.Writer) error {
	p, done, err := o.units(log)
	if err != nil {
		return err
	}
	defer done()
	if !p.Set.Dim("layer.0.qk").Track {
		p.Config.QKOrder = coupled.OrderScore
	} else {
		p.Config.QKOrder = coupled.OrderAttention
	}
	curves, err := p.Sensitivities(keptShares)
	if err != nil {
		return err
	}
	r := SensitivityResult{Sequences: min(p.Trial, p.Data.Len()), Context: p.Data.Context, Params: p.Set.Count(), Basis: p.Improve.Basis, Refit: p.Improve.Compensate}
	fig := report.Chart{Title: "Loss against the fraction of units kept in every layer", X: "kept", Unit: "loss, nats per token"}
	head := []string{"kept"}
	for _, c := range curves {
		r.Kinds = append(r.Kinds, SensitivityCurve(c))
		fig.Curves = append(fig.Curves, report.Curve{Name: string(c.Kind), Style: len(fig.Curves), X: c.Kept, Y: c.Loss, Dots: true})
		head = append(head, string(c.Kind))
	}
	if err := o.draw(fig); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, r)
	}
	t := newTable(head...)
	for i, kept := range append([]float64{1}, keptShares...) {
		row := []any{fmt.Sprintf("%.1f", kept)}
		for _, c := range curves {
			cell := "-"
			if i < len(c.Loss) {
				cell = fmt.Sprintf("%.4f", c.Loss[i])
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	t.print(out)
	return nil
}

// draw writes a figure to --plot, where it is given.
func (o EvalOptions) draw(f report.Chart) error {
	if o.Plot == "" {
		return nil
	}
	if _, err := os.Lstat(o.Plot); err == nil && !o.Force {
		return fault.Usage(fmt.Errorf("%s is already there; give --force to overwrite it", o.Plot))
	}
	b, err := f.Encode(o.Plot, 640, 400)
	if errors.Is(err, report.ErrFormat) {
		return fault.Usage(err)
	}
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(o.Plot, b)
}
