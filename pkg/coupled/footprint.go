package coupled

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// Footprint is the bytes that a model of some shapes takes in the use that a
// memory target is about. The set has shapes and no storage; it is the caller's
// to change.
type Footprint func(shapes *param.Set) (int64, error)

// fit divides the problem's budget by an allocation. Under a bound of bytes it
// searches for the most parameters whose division fits: the result is below the
// bound, and one more step of the narrowest cluster is what separates it from it.
func (p *problem) fit(a allocation) (map[string]int, error) {
	if p.Budget.Bytes == 0 {
		return a.widths(p)
	}
	budget := p.Budget
	defer func() { p.Budget = budget }()
	at := func(params int) (map[string]int, int64, error) {
		p.Budget = Budget{Params: params, Units: budget.Units}
		w, err := a.widths(p)
		if err != nil {
			return nil, 0, err
		}
		bytes, err := p.bytes(w)
		return w, bytes, err
	}
	most, least := p.Set.Count(), p.least()
	width, have, err := at(most)
	if err != nil || have <= budget.Bytes {
		return width, err
	}
	width, need, err := at(least)
	if err != nil {
		return nil, err
	}
	if need > budget.Bytes {
		return nil, fmt.Errorf("%w: %d bytes of memory; %d to %d can be reached (%s)", ErrBudget, budget.Bytes, need, have, p.limits())
	}
	for most-least > p.finest() {
		middle := least + (most-least)/2
		w, bytes, err := at(middle)
		if err != nil {
			return nil, err
		}
		if bytes <= budget.Bytes {
			width, least = w, middle
		} else {
			most = middle
		}
	}
	return width, nil
}

// finest is the parameters of the smallest step of any cluster.
func (p *problem) finest() int {
	n := p.Set.Count()
	for _, c := range p.clusters {
		step := 0
		for i, g := range c.groups {
			step += g.Step() * c.multiple * c.of[i]
		}
		n = min(n, step)
	}
	return max(1, n)
}

// bytes is the footprint of the model with the given widths.
func (p *problem) bytes(width map[string]int) (int64, error) {
	if p.Footprint == nil {
		return 0, fmt.Errorf("prune.target_memory needs a plan of the memory, and there is none here: give prune.target")
	}
	shapes := p.Set.Like()
	cut := param.Cut{}
	for _, g := range p.groups {
		if w := width[g.Dim]; w < g.Units && (g.Kind == Layer || !gone(width, g.Layer)) {
			for range g.Lists {
				cut[g.Dim] = append(cut[g.Dim], first(w))
			}
		}
	}
	if err := shapes.Shrink(cut); err != nil {
		return 0, err
	}
	return p.Footprint(shapes)
}

// first is 0 to n-1.
func first(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
