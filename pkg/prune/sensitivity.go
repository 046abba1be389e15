package prune

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// Sensitivity is the loss of a model against the share of one kind's units that is
// left in every layer, all other kinds being whole.
type Sensitivity struct {
	Kind coupled.Kind `json:"kind"`
	Kept []float64    `json:"kept"` // falling, the first 1; shares that no list can come down to are left out
	Loss []float64    `json:"loss"` // nats a token, on the trial sequences
}

// Sensitivities measures each kind of the configuration at the shares to be kept
// (falling, below 1), with the improvements on. The weights come back as they were,
// but for the basis, which leaves the function alone.
func (p *Job) Sensitivities(shares []float64) ([]Sensitivity, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	gather, trial, _ := p.split()
	kinds := p.Config.Kinds
	if kinds == nil {
		kinds = []coupled.Kind{coupled.QK, coupled.VO, coupled.FFN}
	}
	if err := p.expectTrials(1+len(kinds)*len(shares), trial.Len()); err != nil {
		return nil, err
	}
	e, _, err := p.look(gather, coupled.Budget{}, place{})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if err := p.orderChannels(e); err != nil {
		return nil, err
	}
	t := p.trials(e)
	has := map[coupled.Kind]bool{}
	for _, g := range append(coupled.Groups(p.Set), coupled.LayerGroups(p.Set)...) {
		has[g.Kind] = true
	}
	cuts := []param.Cut{{}}
	var out []Sensitivity
	for _, k := range kinds {
		if !has[k] {
			return nil, fmt.Errorf("the model has no unit of kind %s", k)
		}
		s := Sensitivity{Kind: k, Kept: []float64{1}}
		for _, share := range shares {
			cut, err := p.uniform(k, share, e)
			if errors.Is(err, coupled.ErrBudget) {
				break // no list has so few units
			}
			if err != nil {
				return nil, err
			}
			cuts, s.Kept = append(cuts, cut), append(s.Kept, share)
		}
		out = append(out, s)
	}
	var losses []float64
	if err := p.phase(PhaseTrials, func() (err error) { losses, err = t.Losses(cuts, trial); return err }); err != nil {
		return nil, err
	}
	at := 1
	for i := range out {
		out[i].Loss = append(out[i].Loss, losses[0])
		for _, share := range out[i].Kept[1:] {
			out[i].Loss = append(out[i].Loss, losses[at])
			p.tell(Measured{out[i].Kind, share, losses[at]})
			at++
		}
	}
	return out, nil
}

// expectTrials estimates the evidence and so many cuts of all layers on so many sequences, for
// progress.
func (p *Job) expectTrials(cuts, sequences int) error {
	e, err := p.estimate()
	if err != nil {
		return err
	}
	k, err := p.costs()
	if err != nil {
		return err
	}
	e.Phases = slices.DeleteFunc(e.Phases, func(x PhaseEstimate) bool {
		return x.Name != PhaseBasis && x.Name != PhaseEvidence && x.Name != PhaseOrder
	})
	e.Phases = append(e.Phases, PhaseEstimate{Name: PhaseTrials, FLOPs: p.momentFLOPs(k) + int64(cuts*sequences)*k.whole})
	p.progress.estimate, p.Calibration.work = e, p.countWork
	return nil
}

// uniform is the cut that keeps a share of one kind's units in every layer.
func (p *Job) uniform(k coupled.Kind, share float64, e *coupled.Evidence) (param.Cut, error) {
	c := p.Config
	c.Target, c.TargetMemory, c.Allocation = "", "", "uniform"
	c.Kinds, c.Ratio = nil, map[coupled.Kind]float64{k: 1 - share}
	goal, err := c.Goal(p.Set, nil)
	if err != nil {
		return nil, err
	}
	plan, err := coupled.MakePlan(coupled.Request{Set: p.Set, Family: p.Model.Family(), Config: c, Budget: goal.At(1), Improve: p.Improve, Evidence: e})
	if err != nil {
		return nil, err
	}
	return plan.Cut(), nil
}

// Scores gathers evidence from all of the data and scores every unit, on the
// weights as they are.
func (p *Job) Scores() (coupled.Scores, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	p.tell(Gathering{Sequences: p.Data.Len(), Context: p.Data.Context})
	o := p.Config.Options(p.Model.Scale())
	o.Gains, o.Interactions = false, nil // of orders, not of scores
	pass, err := p.passPlan(o)
	if err != nil {
		return nil, err
	}
	flops := (pass.FLOPs() + pass.RecomputedFLOPs()) * int64(p.Data.Len()) / int64(p.Calibration.batch())
	p.progress.estimate.Phases, p.Calibration.work = []PhaseEstimate{{Name: PhaseEvidence, FLOPs: flops}}, p.countWork
	var e *coupled.Evidence
	if err := p.phase(PhaseEvidence, func() error { e, err = p.Gather(o); return err }); err != nil {
		return nil, err
	}
	defer e.Close()
	return coupled.Score(p.Config.Criterion, &coupled.Context{Set: p.Set, Evidence: e, Seed: p.Config.Seed}, coupled.Groups(p.Set))
}
