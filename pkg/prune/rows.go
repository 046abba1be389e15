package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// Row is what a plan does to the units of one kind in one layer.
type Row struct {
	coupled.Row
	// Work of a forward pass, a token: the products with the group's parameters, and for
	// qk and vo their part of attention over half of the context.
	FLOPsBefore float64 `json:"flops_before"`
	FLOPsAfter  float64 `json:"flops_after"`
	// Bytes of the group's parameters in training: weights, gradients, both moments.
	BytesBefore int64 `json:"training_bytes_before"`
	BytesAfter  int64 `json:"training_bytes_after"`
}

// rows adds to a plan's table what its groups cost over sequences of context tokens;
// after is the shapes that the plan leads to.
func rows(plan *coupled.Plan, after *param.Set, context int) []Row {
	out := make([]Row, 0, len(plan.Decisions))
	cut := plan.Cut()
	for _, r := range plan.Rows() {
		if r.Kind == coupled.Layer {
			if r.Keep < r.Units {
				out = append(out, Row{Row: r, FLOPsBefore: 2*float64(r.Before) + wholeAttention(plan, r.Layer, context), BytesBefore: 16 * int64(r.Before)})
			}
			continue
		}
		attention := attentionFLOPs(after, r, len(cut.Left(r.Layer)), context)
		out = append(out, Row{
			Row:         r,
			FLOPsBefore: 2*float64(r.Before) + attention*float64(r.Units)/float64(r.Keep), FLOPsAfter: 2*float64(r.After) + attention,
			BytesBefore: 16 * int64(r.Before), BytesAfter: 16 * int64(r.After),
		})
	}
	return out
}

// wholeAttention is what the scores and context sums of a whole layer take a token, by the
// shapes before the plan.
func wholeAttention(plan *coupled.Plan, layer, context int) float64 {
	sum := 0.0
	for _, role := range []param.Role{param.Q, param.O} {
		rows := 1.0
		shape := plan.Model.Shapes[param.InLayer(layer, string(role))]
		for _, n := range shape[:max(0, len(shape)-1)] {
			rows *= float64(n)
		}
		sum += rows
	}
	return float64(context+1) * sum
}

// attentionFLOPs is what a group's units take a token in scores or context sums:
// two operations for each of their rows on the query's side and each token attended
// to, half of the context on average. layer is the group's layer in the set.
func attentionFLOPs(set *param.Set, r coupled.Row, layer, context int) float64 {
	rows := func(role param.Role) float64 {
		p := set.LayerParam(layer, role)
		if p == nil {
			return 0
		}
		return float64(p.Size()) / float64(p.Dims[len(p.Dims)-1].Size)
	}
	each := float64(context + 1) // 2 * half of the context
	switch r.Kind {
	case coupled.QK:
		return each * rows(param.Q)
	case coupled.VO:
		return each * rows(param.O)
	case coupled.Head:
		return each * (rows(param.Q) + rows(param.O))
	}
	return 0
}
