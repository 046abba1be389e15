package prune

import (
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestTrialsWithoutLayers: the loss of a trial that removes whole layers, with widths of
// others, is that of the model after the cut.
func TestTrialsWithoutLayers(t *testing.T) {
	gone := func(layers ...int) param.Cut {
		c := param.Cut{}
		for _, l := range layers {
			c[param.WholeLayer(l)] = param.Keep{{}}
		}
		return c
	}
	mixed := gone(1)
	mixed["layer.0.ffn"], mixed["layer.2.ffn"] = param.Keep{{1, 2, 7}}, param.Keep{{0, 4, 5, 6}}
	behind := gone(0)
	behind["layer.2.ffn"] = param.Keep{{0, 4}}
	cuts := []param.Cut{nil, gone(0), gone(1), gone(2), gone(0, 1), gone(1, 2), gone(0, 2), mixed, behind}
	for _, family := range []string{"gpt2", "qwen3", "gemma3_text", "bert"} {
		c := calibration(t, family, 6)
		if family == "qwen3" || family == "gpt2" { // sequences of two documents each
			for i := range c.Data.IDs {
				at := i % 16 / 9 * 9
				c.Data.Starts, c.Data.Positions = append(c.Data.Starts, int32(at)), append(c.Data.Positions, int32(i%16-at))
			}
		}
		p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: coupled.Improve{Basis: coupled.BasisNone, Compensate: coupled.CompensateNone, Ridge: coupled.DefaultRidge}}
		_, trial, _ := p.split()
		losses, err := p.trials(nil).Losses(cuts, trial)
		if err != nil {
			t.Fatalf("%s: %v", family, err)
		}
		for i, cut := range cuts {
			c := calibration(t, family, 6)
			if err := graph.Rewrite(c.Set, cut, nil); err != nil {
				t.Fatal(err)
			}
			want, err := lossOf(c, trial)
			if err != nil || math.Abs(losses[i]-want) > 2e-5*want {
				t.Errorf("%s: a trial of %v gives %g, the cut model %g (%v)", family, cut, losses[i], want, err)
			}
		}
	}
}

// TestPruneLayers: layers and widths go under one budget by every criterion that scores
// layers, and what is left computes what the plan's trial said.
func TestPruneLayers(t *testing.T) {
	for _, criterion := range []string{"fisher", "influence", "fisher-diag"} {
		c := calibration(t, "llama", 12)
		p := &Job{Calibration: c, Config: coupled.DefaultConfig(), Improve: coupled.DefaultImprove(), Enough: true}
		p.Config.Target, p.Config.Of, p.Config.Criterion = "0.5x", "prunable", criterion
		p.Config.Kinds, p.Config.Allocation = []coupled.Kind{coupled.Layer, coupled.FFN, coupled.VO}, "auto"
		if criterion == "influence" {
			p.Config.Kinds, p.Config.Allocation = []coupled.Kind{coupled.Layer}, "global"
		}
		dense := c.Set.Count()
		r, err := p.Run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", criterion, err)
		}
		if n := c.Set.Count(); n != r.Plan().After || n >= dense {
			t.Errorf("%s: %d of %d parameters are left, the plan says %d", criterion, n, dense, r.Plan().After)
		}
		lost := dense > 0 && c.Set.Layers() < 3
		if criterion == "influence" && !lost {
			t.Error("no layer is gone")
		}
		for _, row := range r.Rows {
			if row.Kind == coupled.Layer && (row.Keep != 0 || row.FLOPsAfter != 0 || !(row.FLOPsBefore > 2*float64(row.Before))) {
				t.Errorf("%s: row %+v", criterion, row)
			}
			if math.IsInf(row.FLOPsBefore, 0) || math.IsNaN(row.FLOPsBefore) {
				t.Errorf("%s: row %+v", criterion, row)
			}
		}
		if loss, err := lossOf(c, c.Data); err != nil || math.IsNaN(loss) {
			t.Errorf("%s: loss %g (%v)", criterion, loss, err)
		}
		r.Close()
	}
}
