package cmd

import (
	"fmt"
	"io"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/train"
)

// PruneRow is what a plan does to the units of one kind in one layer.
type PruneRow struct {
	Layer   int          `json:"layer"`
	Kind    coupled.Kind `json:"kind"`
	Units   int          `json:"units"` // of each list, before
	Keep    int          `json:"keep"`  // after
	Lists   int          `json:"lists"`
	Removed float64      `json:"removed_mass"`  // share of the score mass that goes
	Before  int          `json:"params_before"` // parameters that carry the units
	After   int          `json:"params_after"`
	// Work of a forward pass, a token: the products with these parameters, and for
	// qk and vo their part of attention over half of the context.
	FLOPsBefore float64 `json:"flops_before"`
	FLOPsAfter  float64 `json:"flops_after"`
	// Bytes of these parameters in training: weights, gradients, both moments.
	BytesBefore int64 `json:"training_bytes_before"`
	BytesAfter  int64 `json:"training_bytes_after"`
}

// PruneMemory is the planned memory of a model, in bytes.
type PruneMemory struct {
	Inference int64 `json:"inference"` // weights, keys and values, one pass
	Training  int64 `json:"training"`  // weights, gradients, moments, activations
}

// pruneRows adds to a plan's table what its groups cost over sequences of context
// tokens; after is the shapes that the plan leads to.
func pruneRows(plan *coupled.Plan, after *param.Set, context int) []PruneRow {
	rows := make([]PruneRow, 0, len(plan.Decisions))
	for _, r := range plan.Rows() {
		attention := attentionFLOPs(after, r, context)
		rows = append(rows, PruneRow{
			Layer: r.Layer, Kind: r.Kind, Units: r.Units, Keep: r.Keep, Lists: r.Lists, Removed: r.Removed, Before: r.Before, After: r.After,
			FLOPsBefore: 2*float64(r.Before) + attention*float64(r.Units)/float64(r.Keep), FLOPsAfter: 2*float64(r.After) + attention,
			BytesBefore: 16 * int64(r.Before), BytesAfter: 16 * int64(r.After),
		})
	}
	return rows
}

// attentionFLOPs is what a group's units take a token in scores or context sums:
// two operations for each of their rows on the query's side and each token looked
// at, half of the context in the mean.
func attentionFLOPs(set *param.Set, r coupled.Row, context int) float64 {
	rows := func(name string) float64 {
		p := set.Param(fmt.Sprintf("layer.%d.%s", r.Layer, name))
		if p == nil {
			return 0
		}
		return float64(p.Size()) / float64(p.Dims[len(p.Dims)-1].Size)
	}
	each := float64(context + 1) // 2 * half of the context
	switch r.Kind {
	case coupled.QK:
		return each * rows("q")
	case coupled.VO:
		return each * rows("o")
	case coupled.Head:
		return each * (rows("q") + rows("o"))
	}
	return 0
}

// memory is the planned memory of a model of some shapes under the flags.
func (p *pruning) memory(shapes *param.Set) (PruneMemory, error) {
	var out PruneMemory
	var err error
	if out.Inference, err = p.inference(shapes); err != nil {
		return out, err
	}
	out.Training, err = p.training(shapes)
	return out, err
}

func (p *pruning) inference(shapes *param.Set) (int64, error) {
	f, err := infer.PlanFootprint(p.src.m, shapes, p.pool, p.MemoryBatch, p.Context)
	return f.Total(), err
}

func (p *pruning) training(shapes *param.Set) (int64, error) {
	c := train.Default()
	c.Steps, c.Batch, c.Context = 1, p.MemoryBatch, p.Context
	m, err := train.Footprint(c.Resolve(p.Context), optim.Default(), train.LoRA{}, p.src.m, shapes, false)
	return m.Total(), err
}

// footprint is what --target-memory is about.
func (p *pruning) footprint() coupled.Footprint {
	if p.MemoryOf == "training" {
		return p.training
	}
	return p.inference
}

// planned fills in the table of a plan and the memory of the model that it leads to.
func (p *pruning) planned(plan *coupled.Plan, after *param.Set) (err error) {
	p.r.Rows, p.r.Planned = pruneRows(plan, after, p.Context), plan.After
	p.r.MemoryAfter, err = p.memory(after)
	return err
}

func (r *PruneResult) printRows(out io.Writer) {
	t := newTable("layer", "kind", "units", "kept", "share", "removed score mass", "parameters", "after", "FLOPs a token", "after", "training memory", "after")
	for _, row := range r.Rows {
		t.add(row.Layer, row.Kind, row.Units, row.Keep, fmt.Sprintf("%.2f", float64(row.Keep)/float64(row.Units)), fmt.Sprintf("%.4f", row.Removed), row.Before, row.After,
			units.Count(row.FLOPsBefore), units.Count(row.FLOPsAfter), units.Bytes(row.BytesBefore), units.Bytes(row.BytesAfter))
	}
	t.print(out)
	fmt.Fprintf(out, "\nplanned memory: inference %s -> %s, training %s -> %s (%d sequences of %d tokens)\n", units.Bytes(r.MemoryBefore.Inference), units.Bytes(r.MemoryAfter.Inference),
		units.Bytes(r.MemoryBefore.Training), units.Bytes(r.MemoryAfter.Training), r.MemoryBatch, r.Context)
}
