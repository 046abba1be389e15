package coupled

import (
	"fmt"
	"math"
)

// greedy takes units away, one step of one cluster at a time, until a budget is
// met. A step is one unit in each list of each group of the cluster (with
// round_to, as many as lead to the next multiple). The budget is met within one
// step: never above it, and above it before the last step.
type greedy struct {
	p     *problem
	width map[string]int // of every group's dimension, now
}

// priority says how much is lost by a cluster's step to a width that frees so
// many parameters; the least goes first, equals in the order of the clusters.
type priority func(d *greedy, c *cluster, to, freed int) float64

func (p *problem) newGreedy() *greedy {
	d := &greedy{p: p, width: map[string]int{}}
	for _, g := range p.groups {
		d.width[g.Dim] = g.Units
	}
	return d
}

// next is the width after a cluster's next step, false when it is at its floor.
func (d *greedy) next(c *cluster) (int, bool) {
	if d.stuck(c) {
		return 0, false
	}
	w := d.width[c.groups[0].Dim]
	to := (w - 1) / c.multiple * c.multiple
	return to, w > c.floor && to >= c.floor
}

func (d *greedy) set(c *cluster, to int) {
	for i, g := range c.groups {
		d.width[g.Dim] = to * c.of[i]
	}
}

// has reports whether a cluster has groups of a kind.
func (c *cluster) has(k Kind) bool {
	for _, g := range c.groups {
		if g.Kind == k {
			return true
		}
	}
	return false
}

// params is the parameters of those tensors that the cluster's width changes.
func (d *greedy) params(c *cluster) int {
	n := 0
	for _, q := range c.params {
		n += sizeWith(q, d.width)
	}
	return n
}

// lists is the lists of a group that are alive: K/V heads may be going, too.
func (d *greedy) lists(g *Group) int {
	if w, ok := d.width[g.Per]; ok && g.Per != "" {
		return w
	}
	return g.Lists
}

// slots is the units of a kind over all layers and lists. Groups outside the
// problem (skipped layers) count as they are.
func (d *greedy) slots(k Kind) int {
	n := 0
	for _, g := range groupsOf(d.p.Set, []Kind{k}) {
		if g.Kind == Layer || !gone(d.width, g.Layer) {
			w, ok := d.width[g.Dim]
			if !ok {
				w = g.Units
			}
			n += w * d.lists(&g)
		}
	}
	return n
}

// run descends to the problem's budget.
func (d *greedy) run(pri priority) error {
	p := d.p
	if err := p.reachable(); err != nil {
		return err
	}
	if p.Budget.Params > 0 {
		d.down(p.Set.Count(), p.Budget.Params, p.clusters, pri, func(c *cluster, to int) int {
			before, w := d.params(c), d.width[c.groups[0].Dim]
			d.set(c, to)
			freed := before - d.params(c)
			d.set(c, w)
			return freed
		})
		d.giveBack(pri)
	}
	for _, k := range []Kind{Layer, Head, QK, VO, FFN} { // layers and heads take other units with them, so they go first
		most, ok := p.Budget.Units[k]
		if !ok {
			continue
		}
		var of []*cluster
		for _, c := range p.clusters {
			if c.has(k) {
				of = append(of, c)
			}
		}
		d.down(d.slots(k), most, of, pri, func(c *cluster, to int) int {
			n := 0
			for i, g := range c.groups {
				if g.Kind == k {
					n += (d.width[g.Dim] - to*c.of[i]) * d.lists(g)
				}
			}
			return n
		})
	}
	return nil
}

// down takes steps until count is at most `most` or nothing is left to take.
func (d *greedy) down(count, most int, clusters []*cluster, pri priority, freed func(c *cluster, to int) int) {
	type step struct {
		to, freed int
		cost      float64
		ok        bool
	}
	at := map[*cluster]*step{}
	look := func(c *cluster) {
		s := at[c]
		if s.to, s.ok = d.next(c); s.ok {
			s.freed = freed(c, s.to)
			s.cost = pri(d, c, s.to, s.freed)
		}
	}
	for _, c := range clusters {
		at[c] = &step{}
		look(c)
	}
	for count > most {
		var best *cluster
		for _, c := range clusters {
			if s := at[c]; s.ok && (best == nil || s.cost < at[best].cost) && !(c.kind == Layer && d.stuck(c)) {
				best = c
			}
		}
		if best == nil {
			return // reachable has been asked before: only floors of several budgets at once lead here
		}
		count -= at[best].freed
		d.set(best, at[best].to)
		for _, i := range best.near {
			if c := d.p.clusters[i]; at[c] != nil {
				look(c)
			}
		}
	}
}

// bottom is the state with every cluster at its floor.
func (p *problem) bottom() *greedy {
	d := p.newGreedy()
	for _, c := range p.clusters {
		if c.kind != Layer {
			d.set(c, c.floor)
		}
	}
	if !p.widthsOnly {
		d.dropSmallest()
	}
	return d
}

// least is the fewest parameters the whole model can have.
func (p *problem) least() int { return Count(p.Set, p.bottom().width) }

// reachable reports whether the budget is at or above the floor.
func (p *problem) reachable() error {
	if least := p.least(); p.Budget.Params > 0 && p.Budget.Params < least {
		return p.unreachable(p.Budget.Params, p.Set.Count(), least)
	}
	for _, k := range Kinds() {
		most, ok := p.Budget.Units[k]
		if least := p.bottom().slots(k); ok && most < least {
			return fmt.Errorf("%w: %d units of kind %s; %d to %d can be reached (%s)", ErrBudget, most, k, least, p.newGreedy().slots(k), p.limits())
		}
	}
	return nil
}

func (p *problem) unreachable(want, most, least int) error {
	return fmt.Errorf("%w: %d parameters of the whole model; %d to %d (%.3fx to 1x) can be reached (%s)",
		ErrBudget, want, least, most, math.Ceil(1000*float64(least)/float64(most))/1000, p.limits())
}

// limits says what holds the floor up.
func (p *problem) limits() string {
	s := fmt.Sprintf("kinds %s, min_keep %d", joinKinds(p.Config.kinds()), p.Config.MinKeep)
	if p.Config.Floor > 0 {
		s += fmt.Sprintf(", floor %g", p.Config.Floor)
	}
	if p.Config.RoundTo > 1 {
		s += fmt.Sprintf(", round_to %d", p.Config.RoundTo)
	} else if n := p.Config.Round[FFN]; n > 0 {
		s += fmt.Sprintf(", widths in multiples of %d rows, which the format's types ask for", n)
	}
	if len(p.Config.SkipLayers) > 0 {
		s += fmt.Sprintf(", skip_layers %v", p.Config.SkipLayers)
	}
	return s
}
