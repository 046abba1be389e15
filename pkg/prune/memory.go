package prune

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
)

// Memory is what a pass that gathers evidence takes beside the weights, in bytes.
type Memory struct{ Gradients, Activations, Evidence int64 }

// Total is all of it.
func (m Memory) Total() int64 { return m.Gradients + m.Activations + m.Evidence }

func (m Memory) String() string {
	return fmt.Sprintf("gradients %s, activations %s, evidence %s", units.Bytes(m.Gradients), units.Bytes(m.Activations), units.Bytes(m.Evidence))
}

// MemoryError is returned when a calibration takes more memory than there is.
type MemoryError struct {
	Need Memory
	Free int64  // bytes
	By   string // who has them: the machine, or a limit
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("pruning this model takes %s (%s), but %s has %s left", units.Bytes(e.Need.Total()), e.Need, e.By, units.Bytes(e.Free))
}

// available is what the system says is left; tests have other systems.
var available = sysmem.Available

// checkMemory says what the calibration takes and refuses it where that is not there.
func (p *Job) checkMemory() error {
	m, err := p.Memory()
	if err != nil {
		return err
	}
	if p.Evidence != nil {
		m = Memory{Evidence: m.Evidence} // no pass
	}
	p.tell(MemoryPlanned{m, 4 * int64(p.Set.Len())})
	if free, by, known := available(); known && m.Total() > free {
		return &MemoryError{m, free, by}
	}
	return nil
}

// Memory plans the pass of a pruning; nothing is computed, and no memory is touched.
func (p *Job) Memory() (Memory, error) {
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
