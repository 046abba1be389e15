package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
)

// Memory is what a pass that gathers evidence takes beside the weights, in bytes.
type Memory struct{ Gradients, Activations, Evidence int64 }

// Total is all of it.
func (m Memory) Total() int64 { return m.Gradients + m.Activations + m.Evidence }

// Memory plans the pass of a pruning; nothing is computed, and no memory is touched.
func (p *Pruner) Memory() (Memory, error) {
	c := p.Calibration
	c.Data, _, _ = p.split()
	o := p.options()
	var m Memory
	batch := c.batch()
	if o.PerSequence() {
		m.Gradients, batch = 4*int64(p.Set.Len()), 1
	}
	b := graph.NewBuilder(p.Set, graph.BuildOptions{Train: o.PerSequence(), Gates: !o.PerSequence()})
	p.Model.Loss(b, batch, c.Data.Context, 0)
	plan, err := b.Plan(graph.PlanOptions{Taps: true, Lend: true, Recompute: c.recompute()})
	if err != nil {
		return m, err
	}
	m.Activations = plan.ArenaBytes()
	e := coupled.NewEvidence(p.Set, o)
	defer e.Close()
	m.Evidence = e.Bytes()
	return m, nil
}
