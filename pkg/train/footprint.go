package train

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// Footprint is the memory that training a model of some shapes takes under a
// resolved configuration, an optimizer and, where lora has a rank, with adapters; taps says whether evidence is gathered from gates. The
// set needs no storage; nothing is computed and no memory is taken: the graph is
// planned.
func Footprint(c Config, o optim.Config, lora model.LoRA, m model.Model, shapes *param.Set, taps bool) (Memory, error) {
	recompute, err := graph.ParseRecompute(c.Recompute)
	if err != nil {
		return Memory{}, err
	}
	b := graph.NewBuilder(shapes, graph.BuildOptions{Train: true, BF16: c.Precision == "bf16"})
	var adapters *param.Set
	if lora.Enabled() {
		if adapters, err = param.Layout(lora.Specs(shapes)); err != nil {
			return Memory{}, err
		}
		b.AdaptLinear(adapters, float32(lora.Scale()))
	}
	m.Loss(b, c.MicroBatch, c.Context, 0)
	plan, err := b.Plan(graph.PlanOptions{Taps: taps, Recompute: recompute, InGradients: adapters == nil && c.MicroBatch == c.Batch && !o.InBackward, Update: o.InBackward && adapters == nil})
	if err != nil {
		return Memory{}, err
	}
	mem := PlanMemory(shapes, c.DType(), plan, o)
	if c.EMA > 0 {
		mem.Average = 4 * int64(shapes.Len())
	}
	if adapters != nil {
		n := int64(adapters.Len())
		mem.Weights, mem.Gradients, mem.Moments = mem.Weights+4*n, 4*n, optim.StateBytes(adapters, o)
	}
	return mem, nil
}

// EvalFootprint is the memory that evaluating a model of some shapes takes, its weights stored
// as c says, batches of c.MicroBatch and c.Context.
func EvalFootprint(c Config, m model.Model, shapes *param.Set) (Memory, error) {
	b := graph.NewBuilder(shapes, graph.BuildOptions{BF16: c.Precision == "bf16"})
	if _, ok := m.(model.Classifier); ok {
		m.Decode(b, c.MicroBatch, c.Context, false)
	} else {
		m.Loss(b, c.MicroBatch, c.Context, 0)
	}
	plan, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		return Memory{}, err
	}
	return Memory{Weights: shapes.BytesAs(c.DType()), Activations: plan.ArenaBytes()}, nil
}

// GatesFootprint is the memory of a pass that gathers gate gradients, which pruning begins with,
// without the evidence: weights stored as c says, sequences by themselves, layers recomputed.
func GatesFootprint(c Config, m model.Model, shapes *param.Set) (Memory, error) {
	b := graph.NewBuilder(shapes, graph.BuildOptions{Gates: true})
	m.Loss(b, c.MicroBatch, c.Context, 0)
	plan, err := b.Plan(graph.PlanOptions{Taps: true, Recompute: graph.RecomputeLayer})
	if err != nil {
		return Memory{}, err
	}
	return Memory{Weights: shapes.BytesAs(c.DType()), Activations: plan.ArenaBytes()}, nil
}

// MemoryOf plans the whole memory of training all weights with the default optimizer, for
// budgets.
func MemoryOf(m model.Model, batch, context int) func(shapes *param.Set) (int64, error) {
	c := Default()
	c.Steps, c.Batch, c.Context = 1, batch, context
	c = c.Resolve(context)
	return func(shapes *param.Set) (int64, error) {
		mem, err := Footprint(c, optim.Default(), model.LoRA{}, m, shapes, false)
		return mem.Total(), err
	}
}
