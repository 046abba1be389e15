package coupled

import (
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// ErrBudget is returned when no plan can meet a budget; the message gives the
// range that can be reached.
var ErrBudget = errors.New("coupled: budget out of reach")

// Budget is what a model may have after a plan. Any bound may be missing.
type Budget struct {
	Params int          `json:"params,omitempty"` // parameters of the whole model at most; 0 for no bound
	Units  map[Kind]int `json:"units,omitempty"`  // units of a kind at most, over all layers and lists; nil for no bound
	Bytes  int64        `json:"bytes,omitempty"`  // of memory at most, by Request.Footprint, instead of Params; 0 for no bound
}

// Goal is a budget fixed when a run starts, from the model as it is then, so that
// pruning in several events and resuming in between end at the same size.
type Goal struct {
	Dense  int             `json:"dense"`            // parameters of the whole model at the start
	Params int             `json:"params,omitempty"` // at the end; 0 when Units counts
	Units  map[Kind][2]int `json:"units,omitempty"`  // units of a kind at the start and at the end
	Bytes  int64           `json:"bytes,omitempty"`  // of memory at the end; Params is then what a uniform division of it comes to
}

// At is the budget once a share (0 to 1) of what is to go has gone.
func (g Goal) At(share float64) Budget {
	between := func(from, to int) int { return from - int(math.Round(share*float64(from-to))) }
	b := Budget{}
	if g.Bytes > 0 && share == 1 {
		b.Bytes = g.Bytes
		return b
	}
	if g.Params > 0 {
		b.Params = between(g.Dense, g.Params)
	}
	for k, span := range g.Units {
		if b.Units == nil {
			b.Units = map[Kind]int{}
		}
		b.Units[k] = between(span[0], span[1])
	}
	return b
}

// Goal resolves the target of the configuration against a model and checks that
// it can be reached. footprint is needed for target_memory alone; nil otherwise.
func (c Config) Goal(set *param.Set, footprint Footprint) (Goal, error) {
	g := Goal{Dense: set.Count()}
	if err := c.Validate(); err != nil {
		return g, err
	}
	switch {
	case len(c.Ratio) > 0:
		var err error
		if g.Units, err = c.unitsLeft(set); err != nil {
			return g, err
		}
	case c.TargetMemory != "":
		bytes, err := ParseBytes(c.TargetMemory)
		if err != nil {
			return g, err
		}
		p, err := newProblem(Request{Set: set, Config: c, Budget: Budget{Bytes: bytes}, Footprint: footprint})
		if err != nil {
			return g, err
		}
		width, err := p.fit(uniform{})
		if err != nil {
			return g, err
		}
		g.Bytes, g.Params = bytes, Count(set, width)
		return g, nil
	default:
		t, err := ParseTarget(c.Target)
		if err != nil {
			return g, err
		}
		prunable := Prunable(set)
		rest := 0
		base := g.Dense
		if c.Of == "prunable" {
			base, rest = prunable, g.Dense-prunable
		}
		g.Params = rest + t.Params
		if t.Fraction > 0 {
			g.Params = rest + int(math.Round(t.Fraction*float64(base)))
		}
	}
	p, err := newProblem(Request{Set: set, Config: c, Budget: g.At(1)})
	if err != nil {
		return g, err
	}
	if g.Params > g.Dense {
		return g, p.unreachable(g.Params, g.Dense, p.least())
	}
	return g, p.reachable()
}

// unitsLeft is how many units of each kind there are, and how many the ratios leave.
func (c Config) unitsLeft(set *param.Set) (map[Kind][2]int, error) {
	units := map[Kind][2]int{}
	for _, g := range groupsOf(set, c.kinds()) {
		if _, ok := c.Ratio[g.Kind]; ok {
			span := units[g.Kind]
			span[0] += g.Lists * g.Units
			units[g.Kind] = span
		}
	}
	for k, r := range c.Ratio {
		span := units[k]
		if span[0] == 0 {
			return nil, fmt.Errorf("prune.ratio names kind %s, of which the model has no unit", k)
		}
		span[1] = span[0] - int(math.Round(r*float64(span[0])))
		units[k] = span
	}
	return units, nil
}
