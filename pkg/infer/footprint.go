package infer

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
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
func PlanFootprint(m model.Model, shapes *param.Set, pool *kernel.Pool, batch, context int) (Footprint, error) {
	set := shapes.Like()
	set.Weights = set.NewSlab()
	defer set.Weights.Close()
	f := Footprint{Weights: 4 * int64(set.Len())}
	for _, w := range m.Cache(set) {
		f.Cache += 4 * int64(batch*context) * int64(w[0]+w[1])
	}
	b := graph.NewBuilder(set, graph.BuildOptions{})
	m.Decode(b, nil, batch, context, false)
	machine, err := b.Lower(graph.LowerOptions{Pool: pool})
	if err != nil {
		return f, err
	}
	defer machine.Close()
	f.Activations = machine.Plan().ArenaBytes()
	f.FLOPs = float64(machine.Plan().FLOPs()) / float64(batch*context)
	return f, nil
}
