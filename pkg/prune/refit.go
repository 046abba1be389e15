package prune

import (
	"runtime"

	"github.com/ecospa/ecospa/internal/dist"
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/graph"
)

// improves reports whether a plan changes weights that stay.
func improves(plan *coupled.Plan) bool {
	return plan.Improve.Compensate != coupled.CompensateNone && plan.Improve.Compensate != "" || plan.Improve.Gains
}

// refit improves what a plan leaves, one layer after the other: the layer's second moments
// are gathered with the uncut model before it, used, and given up.
func (c *Calibration) refit(plan *coupled.Plan, scores *coupled.Evidence) error {
	cut := plan.Cut()
	last := lastLayer(c.Set, cut)
	m := c.newMoments(plan.Improve, scores, last)
	defer m.Close()
	for layer := 0; layer <= last; layer++ {
		part := layerCut(c.Set, cut, layer)
		refit := len(part) > 0 && !cut.Removes(layer)
		e, err := m.of(layer, refit)
		if err == nil && refit {
			err = plan.Improve.Apply(c.Set, e, part)
		}
		if e != nil {
			e.Close()
			e = nil
			runtime.GC() // as in Trials.layer
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// carryOut is a plan on every rank: rank 0 improves, all cut, and check that they
// have the same weights.
func (p *Job) carryOut(c Calibration, plan *coupled.Plan, scores *coupled.Evidence) error {
	if improves(plan) {
		if err := p.once(func() error { return c.refit(plan, scores) }); err != nil {
			return err
		}
	}
	if err := graph.Rewrite(p.Set, plan.Cut(), p.Slabs, p.Parallel...); err != nil {
		return err
	}
	return dist.AgreeOn(p.group(), "the parameters behind the plan", p.Set.Weights.Data)
}
