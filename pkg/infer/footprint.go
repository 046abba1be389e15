package infer

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// Footprint is the memory in bytes that inference with a model of some shapes
// takes: the weights in float32, and what one pass over batch sequences of context
// tokens needs, with keys and values of all of them kept. The set needs no storage;
// nothing is computed and no memory is touched: the graph is planned.
type Footprint struct {
	Weights     int64   `json:"weights"`
	Cache       int64   `json:"cache"`
	Activations int64   `json:"activations"`
	FLOPs       float64 `json:"flops_per_token"` // of the matrix products
}

// Total is the sum of all purposes.
func (f Footprint) Total() int64 { return f.Weights + f.Cache + f.Activations }

// PlanFootprint plans a pass over batch sequences of context tokens, logits of the
// last of each.
func PlanFootprint(m model.Model, shapes *param.Set, batch, context int) (Footprint, error) {
	f := Footprint{Weights: 4 * int64(shapes.Len())}
	for _, w := range m.Cache(shapes) {
		f.Cache += 4 * int64(batch*context) * int64(w[0]+w[1])
	}
	b := graph.NewBuilder(shapes, graph.BuildOptions{})
	m.Decode(b, batch, context, false)
	plan, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		return f, err
	}
	f.Activations = plan.ArenaBytes()
	f.FLOPs = float64(plan.FLOPs()) / float64(batch*context)
	return f, nil
}

// Memory plans the whole memory of inference, for budgets.
func Memory(m model.Model, batch, context int) func(shapes *param.Set) (int64, error) {
	return func(shapes *param.Set) (int64, error) {
		f, err := PlanFootprint(m, shapes, batch, context)
		return f.Total(), err
	}
}
