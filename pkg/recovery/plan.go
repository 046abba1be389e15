package recovery

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/optim"
	"github.com/ecospa/ecospa/pkg/param"
)

// Memory is what a recovery takes, in bytes.
type Memory struct {
	Weights     int64 // of both models
	Copies      int64 // of the child's weights: the best so far
	Gradients   int64 // the most at a time
	Moments     int64
	Activations int64 // of both models, and of the measurements
}

// Total is all of it.
func (m Memory) Total() int64 {
	return m.Weights + m.Copies + m.Gradients + m.Moments + m.Activations
}

func (m Memory) String() string {
	return fmt.Sprintf("weights of both models %s, copies %s, gradients %s, moments %s, activations %s",
		units.Bytes(m.Weights), units.Bytes(m.Copies), units.Bytes(m.Gradients), units.Bytes(m.Moments), units.Bytes(m.Activations))
}

// Shapes are what a recovery is planned for before there is a child.
type Shapes struct {
	Model         model.Model
	Set           *param.Set  // of the parent; it needs no storage
	Parent, Child param.DType // of the matrices of both
	Share         float64     // of the parent's parameters that the child has
}

// Plan is what a recovery takes.
type Plan struct {
	Memory
	work work
}

// work is operations of products.
type work struct {
	step          int64 // of a step: the parent forward, the child forward and backward
	parent, child int64 // of a batch that is measured
}

// Plan plans a recovery with the options' optimizer and recomputation. The child's activations
// and gradients by the block are counted as the parent's would be. Nothing is computed, and no
// memory is taken.
func (o Options) Plan(s Shapes) (p Plan, err error) {
	o = o.Resolve()
	net := Net{s.Model, s.Set}
	parent, err := o.parentGraph(net).Plan(graph.PlanOptions{})
	if err != nil {
		return p, fmt.Errorf("recovery: the parent: %w", err)
	}
	b, sites := o.childGraph(net, o.teacher(net))
	child, err := b.Plan(graph.PlanOptions{Recompute: o.Recompute, Update: o.inBackward()})
	if err != nil {
		return p, fmt.Errorf("recovery: %w", err)
	}
	forward, err := o.forwardPlan(net)
	if err != nil {
		return p, err
	}
	part := func(n int64) int64 { return int64(s.Share * float64(n)) }
	weights := part(s.Set.BytesAs(s.Child))
	p.Weights, p.Copies = s.Set.BytesAs(s.Parent)+weights, weights
	p.Activations = parent.ArenaBytes() + child.ArenaBytes() + forward.ArenaBytes() + o.inputBytes(net, len(sites))
	if p.Moments = optim.StateBytes(s.Set, o.optimizer(1)); o.inBackward() {
		p.Gradients = child.GradientBytes()
		p.Activations -= p.Gradients
	} else {
		p.Gradients, p.Moments = part(4*int64(s.Set.Len())), part(p.Moments)
	}
	p.work = work{step: parent.FLOPs() + part(child.FLOPs()+child.RecomputedFLOPs()), parent: forward.FLOPs(), child: part(forward.FLOPs())}
	return p, nil
}

// FLOPs is the operations of a recovery of Options.Tokens, with what is measured and the steps
// that take the time.
func (p Plan) FLOPs(o Options) int64 {
	o = o.Resolve()
	return int64(o.steps()+o.tries())*p.work.step + o.measuring(o.steps(), p.work).flops
}

// forwardPlan is the plan of a measurement's batch.
func (o Options) forwardPlan(n Net) (*graph.Plan, error) {
	b := graph.NewBuilder(n.Set, graph.BuildOptions{Documents: true})
	n.Model.Loss(b, o.Batch, o.Context, 0)
	p, err := b.Plan(graph.PlanOptions{})
	if err != nil {
		return nil, fmt.Errorf("recovery: held-out text: %w", err)
	}
	return p, nil
}

// inputBytes is the parent's hidden states as the child reads them, last ones and at so many sites.
func (o Options) inputBytes(n Net, sites int) int64 {
	return 4 * int64(sites+1) * int64(o.Batch*o.Context) * int64(n.Model.Arch().Hidden)
}

// choice is a way to train.
type choice struct {
	optimizer string
	child     param.DType
	recompute graph.Recompute
}

// choices are the ways, the one that is preferred first.
var choices = []choice{{AdamW, param.F32, graph.KeepAll}, {AdamW, param.F32, graph.RecomputeLayer}, {Apollo, param.BF16, graph.RecomputeLayer}}

// Chosen is how a recovery trains and what that takes.
type Chosen struct {
	Optimizer string
	Weights   param.DType // of the child
	Recompute graph.Recompute
	Plan      Plan
	AdamW     int64 // bytes that AdamW takes without recomputation
	Fits      bool
}

// Choose is the first way that takes no more than free bytes, else the last. Only those with
// weights of a type are looked at where one is given.
func (o Options) Choose(s Shapes, of param.DType, free int64) (c Chosen, err error) {
	var adamW int64
	for _, way := range choices {
		s.Child, o.Optimizer, o.Recompute = way.child, way.optimizer, way.recompute
		p, err := o.Plan(s)
		if err != nil {
			return c, err
		}
		if adamW == 0 {
			adamW = p.Total()
		}
		if of != "" && of != way.child {
			continue
		}
		c = Chosen{way.optimizer, way.child, way.recompute, p, adamW, p.Total()+p.Total()/16 <= free}
		if c.Fits {
			break
		}
	}
	return c, nil
}

func (c Chosen) String() string {
	s := fmt.Sprintf("recovery  %s in all by %s", units.Bytes(c.Plan.Total()), c.Optimizer)
	switch {
	case c.Optimizer == Apollo:
		s += fmt.Sprintf(" on one copy of the weights: adamw would take %s and learn more a token", units.Bytes(c.AdamW))
	case c.Recompute > graph.KeepAll:
		s += fmt.Sprintf(", activations recomputed: without that %s", units.Bytes(c.AdamW))
	}
	return s + ": " + c.Plan.Memory.String()
}
