package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
)

const (
	// agreement is the overlap of the plans of both halves of the evidence at which
	// gathering ends with Job.Enough.
	agreement = 0.8
	// compareEvery is the sequences between two comparisons, and the fewest.
	compareEvery = 32
)

// Compared is a comparison of the plans that both halves of the evidence make.
type Compared struct {
	Sequences int
	Overlap   float64 // see coupled.Overlap
}

// gatherEnough gathers evidence until both halves of it, by sequence, make plans that agree,
// and says how many sequences that took.
func (p *Job) gatherEnough(c Calibration, budget coupled.Budget) (*coupled.Evidence, Compared, error) {
	g := c.newGathering(p.options())
	defer g.Close()
	g.every = min(g.every, compareEvery/g.batch)
	if p.halves(c) {
		g.half = coupled.NewEvidence(c.Set, coupled.Options{WholeLayers: g.e.WholeLayers()})
	}
	if err := p.resumeEvidence(g); err != nil {
		return nil, Compared{}, err
	}
	seen := Compared{Sequences: c.Data.Len(), Overlap: -1}
	for at := max(1, (g.done+compareEvery-1)/compareEvery) * compareEvery; ; at += compareEvery {
		err := g.to(min(at, c.Data.Len()))
		if err == nil && g.half != nil && g.done >= 2*g.batch { // both halves have seen some
			seen.Overlap, err = p.overlap(g, budget)
			seen.Sequences = g.done
			if err == nil {
				p.tell(seen)
			}
		}
		if err != nil {
			g.e.Close()
			return nil, seen, err
		}
		if g.half != nil && seen.Overlap >= agreement || g.done >= c.Data.Len() {
			break
		}
	}
	return g.e, seen, c.merge(g.e)
}

// halves reports whether halves of the evidence are compared: where the criterion reads gates
// only and one process sees them all.
func (p *Job) halves(c Calibration) bool {
	crit, err := coupled.CriterionByName(p.Config.Criterion)
	if err != nil || !p.Enough || c.group().Size() > 1 {
		return false
	}
	n := crit.Needs()
	return n.Gates && !n.Squares && !n.Activations && len(n.Kinds) == 0
}

// overlap is how far the plans of the halves agree, with the same share removed everywhere:
// which units go is then all that may differ.
func (p *Job) overlap(g *gathering, budget coupled.Budget) (float64, error) {
	config := p.Config
	config.Allocation, config.QKOrder, config.FFNOrder = "uniform", coupled.OrderScore, coupled.OrderScore
	var plans [2]*coupled.Plan
	for i, e := range []*coupled.Evidence{g.half, g.e.Without(g.half, p.Set)} {
		var err error
		if plans[i], err = coupled.MakePlan(coupled.Request{
			Set: p.Set, Family: p.Model.Family(), Config: config, Budget: budget, Evidence: e, Footprint: p.Footprint,
		}); err != nil {
			return 0, err
		}
	}
	return coupled.Overlap(plans[0], plans[1]), nil
}
