package coupled

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// PlanVersion is the version of the plan's JSON.
const PlanVersion = 1

// ErrPlan is returned when a plan does not fit the model it is to be applied to,
// or is not a plan at all.
var ErrPlan = errors.New("coupled: plan does not fit")

// Plan is which units stay, as plain data. Making it touches no weight; carrying
// it out (Cut) decides nothing.
type Plan struct {
	Version    int         `json:"version"`
	Model      Fingerprint `json:"model"`      // the model it is for
	Criterion  string      `json:"criterion"`  // how units were scored
	Allocation string      `json:"allocation"` // how the budget was divided
	Layout     string      `json:"layout"`
	// Improve is what goes along with the cut. With a basis, units are those of the
	// changed basis: change it in the same way, on the same data, before applying the plan.
	Improve   Improve    `json:"improve"`
	Budget    Budget     `json:"budget"`        // what had to be met
	Before    int        `json:"params_before"` // parameters of the whole model
	After     int        `json:"params_after"`
	Decisions []Decision `json:"decisions"`        // one a group, by layer and kind; groups that stay whole by constraint are missing, and those of layers that go
	Trials    []Trial    `json:"trials,omitempty"` // what auto tried
}

// Decision is what happens to one group.
type Decision struct {
	Layer   int         `json:"layer"`
	Kind    Kind        `json:"kind"`
	Dim     string      `json:"dim"`
	Units   int         `json:"units"`           // of each list, before
	Keep    int         `json:"keep"`            // of each list, after
	Kept    [][]int     `json:"kept"`            // unit numbers that stay, ascending, of each list
	Scores  [][]float64 `json:"scores"`          // of every unit of each list
	Removed float64     `json:"removed"`         // share of the group's score mass that goes, 0 to 1
	Before  int         `json:"params_before"`   // parameters that carry the group's units
	After   int         `json:"params_after"`    // after the whole plan
	Curve   []Point     `json:"curve,omitempty"` // loss measured against the removed share, where it was
}

// Trial is one allocation that auto tried, with the loss on held calibration data in nats.
type Trial struct {
	Allocation string  `json:"allocation"`
	Loss       float64 `json:"loss"`
}

// MakePlan decides which units stay. It fails with ErrBudget when the budget is
// out of reach and with ErrEvidence when the evidence is missing or of another
// model. A budget that the model meets already gives a plan that removes nothing.
func MakePlan(r Request) (*Plan, error) {
	p, err := newProblem(r)
	if err != nil {
		return nil, err
	}
	if err := p.rank(); err != nil {
		return nil, err
	}
	a, err := allocationByName(r.Config.Allocation)
	if err != nil {
		return nil, err
	}
	width, err := p.divide(a)
	if err != nil {
		return nil, fmt.Errorf("allocate %s: %w", a.name(), err)
	}
	plan := &Plan{
		Version: PlanVersion, Model: FingerprintOf(r.Family, r.Set),
		Criterion: r.Config.Criterion, Allocation: a.name(), Layout: r.Config.Layout, Improve: r.Improve, Budget: r.Budget,
		Before: r.Set.Count(), After: Count(r.Set, width), Trials: p.trials,
	}
	if r.Improve == (Improve{}) {
		plan.Improve = Improve{Basis: BasisNone, Compensate: CompensateNone, Ridge: DefaultRidge}
	}
	for i := range p.groups {
		if g := &p.groups[i]; g.Kind != Layer && gone(width, g.Layer) {
			continue // it goes with its layer
		}
		plan.Decisions = append(plan.Decisions, p.decide(&p.groups[i], width))
	}
	return plan, nil
}

// divide is the widths by an allocation; auto tries others and fits each itself.
func (p *problem) divide(a allocation) (map[string]int, error) {
	if _, tries := a.(auto); tries {
		return a.widths(p)
	}
	return p.fit(a)
}

// decide records what the widths mean for one group.
func (p *problem) decide(g *Group, width map[string]int) Decision {
	w := width[g.Dim]
	d := Decision{Layer: g.Layer, Kind: g.Kind, Dim: g.Dim, Units: g.Units, Keep: w, Scores: p.scores[g.Dim], Curve: p.curves[g.Dim]}
	total, kept := 0.0, 0.0
	for l, o := range p.orders[g.Dim] {
		k := o.kept(w)
		d.Kept = append(d.Kept, k)
		for _, x := range d.Scores[l] {
			total += x
		}
		for _, u := range k {
			kept += d.Scores[l][u]
		}
	}
	if total > 0 {
		d.Removed = max(0, 1-kept/total)
	}
	for _, q := range g.params {
		d.Before += q.Size()
		d.After += sizeWith(q, width)
	}
	return d
}

// Cut is the cut that the plan amounts to. Groups that stay whole are not in it.
// Validate the plan against the model first.
func (p *Plan) Cut() param.Cut {
	c := param.Cut{}
	for _, d := range p.Decisions {
		if d.Keep < d.Units {
			c[d.Dim] = d.Kept
		}
	}
	return c
}

// Empty reports whether the plan removes nothing.
func (p *Plan) Empty() bool { return len(p.Cut()) == 0 }

// Validate reports whether the plan is for a model of this family and shapes.
func (p *Plan) Validate(family string, set *param.Set) error {
	if p.Version != PlanVersion {
		return fmt.Errorf("%w: version %d, expected %d", ErrPlan, p.Version, PlanVersion)
	}
	if err := p.Model.Match(family, set); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, d := range p.Decisions {
		if seen[d.Dim] {
			return fmt.Errorf("%w: dimension %q is decided twice", ErrPlan, d.Dim)
		}
		seen[d.Dim] = true
		dim := set.Dim(d.Dim)
		if dim.Kind == "" || d.Units != dim.Size {
			return fmt.Errorf("%w: dimension %q has %d units, the plan expects %d", ErrPlan, d.Dim, dim.Size, d.Units)
		}
		for _, k := range d.Kept {
			if len(k) != d.Keep {
				return fmt.Errorf("%w: dimension %q keeps %d units in a list, the plan says %d", ErrPlan, d.Dim, len(k), d.Keep)
			}
		}
	}
	if err := set.Check(p.Cut()); err != nil {
		return fmt.Errorf("%w: %w", ErrPlan, err)
	}
	return nil
}
