package coupled

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// Request is everything a plan is made from.
type Request struct {
	Set      *param.Set
	Family   string  // of the model, for the plan's fingerprint
	Config   Config  // its target is not looked at: Budget counts
	Budget   Budget  // see Goal.At
	Improve  Improve // recorded in the plan: what goes along with its cut, and the basis its units are of; zero is nothing
	Evidence *Evidence
	Scores   Scores // used instead of scoring, when not nil
	// Losses returns, for each of several cuts, the mean loss in nats on a small calibration
	// batch of the model with it (weights must come back unchanged). The allocations
	// sensitivity and auto need it, and call it once; others do not.
	Losses func([]param.Cut) ([]float64, error)
	// Every, where it is above 1, has sensitivity measure one layer in so many of each kind, and
	// the last one; the curves of layers between are interpolated. Whole layers are all measured.
	Every int
	// Held is Losses on a part of the calibration data that Losses does not see.
	// The allocation auto chooses by it.
	Held func([]param.Cut) ([]float64, error)
	// Footprint is needed only for Budget.Bytes.
	Footprint Footprint
}

// cluster is groups that shrink together: one group, or where a layout says so
// those of one kind in all layers, and v with q and k.
type cluster struct {
	kind     Kind
	groups   []*Group
	of       []int // units of each group to one of the cluster: 2 of v to a rotation pair
	units    int   // of each list
	floor    int   // least width
	multiple int   // widths below units are multiples of this
	params   []*param.Param
	near     []int // clusters with a parameter in common, itself included
}

// problem is a budget to be divided among clusters.
type problem struct {
	Request
	groups   []Group
	clusters []*cluster
	orders   map[string][]order // removal order of each list, by dimension
	scores   Scores
	measured []Curve            // by sensitivity, once
	curves   map[string][]Point // of measured, by dimension
	trials   []Trial            // made by auto

	widthsOnly bool // no whole layer goes: one of auto's trials
}

// Check reports what of the configuration does not fit the model: layers that it
// does not have, kinds of which it has no unit, a layout that its widths rule out.
func (c Config) Check(set *param.Set) error {
	_, err := newProblem(Request{Set: set, Config: c})
	return err
}

// CheckTraining reports what the events of a run cannot do without a calibration
// pass of their own: evidence beyond gate gradients, losses of trial cuts, changes
// of the weights.
func (c Config) CheckTraining() error {
	if c.Calibration > 0 {
		return nil
	}
	const need = "needs a calibration pass at each event: give prune.calibration, a number of sequences"
	switch o := c.Options(0); {
	case o.beyondGates():
		return fmt.Errorf("prune.criterion %s %s, or take fisher, taylor, magnitude or random", c.Criterion, need)
	case o.Gains:
		return fmt.Errorf("prune.qk_order %s %s, or take %s or %s", c.QKOrder, need, OrderScore, OrderInteractions)
	case c.FFNOrder == OrderRefit:
		return fmt.Errorf("prune.ffn_order %s %s, or take %s", c.FFNOrder, need, OrderScore)
	case c.Allocation == "sensitivity" || c.Allocation == "auto":
		return fmt.Errorf("prune.allocation %s %s, or take uniform or global", c.Allocation, need)
	case c.Improve.Basis != BasisNone || c.Improve.Compensate != CompensateNone || c.Improve.Gains:
		return fmt.Errorf("prune.improve %s", need)
	}
	return nil
}

// newProblem finds the groups that may shrink and how far.
func newProblem(r Request) (*problem, error) {
	if err := r.Config.Validate(); err != nil {
		return nil, err
	}
	p := &problem{Request: r}
	skip := map[int]bool{}
	for _, n := range r.Config.SkipLayers {
		skip[n] = true
	}
	layers := map[int]bool{}
	for _, g := range Groups(r.Set) {
		layers[g.Layer] = true
	}
	for _, g := range groupsOf(r.Set, r.Config.kinds()) {
		if !skip[g.Layer] {
			p.groups = append(p.groups, g)
		}
	}
	for _, n := range r.Config.SkipLayers {
		if !layers[n] {
			return nil, fmt.Errorf("prune.skip_layers names layer %d, the model has %d layers, from 0", n, len(layers))
		}
	}
	if len(p.groups) == 0 {
		return nil, fmt.Errorf("%w: the model has no unit of kind %s outside the layers skipped", ErrBudget, joinKinds(r.Config.kinds()))
	}
	return p, p.cluster()
}

// cluster makes the clusters.
func (p *problem) cluster() error {
	together := map[Kind]*cluster{}
	rope := p.Set.Dim(p.groups[0].Dim).Track
	for _, g := range p.groups {
		rope = rope || p.Set.Dim(g.Dim).Track
	}
	linked := rope && p.Config.oneHead(VO) && square(p.groups)
	if linked && p.Config.Ratio[QK] != p.Config.Ratio[VO] {
		return fmt.Errorf("prune.layout %s keeps q, k and v heads at one width, but prune.ratio has qk %g and vo %g", p.Config.Layout, p.Config.Ratio[QK], p.Config.Ratio[VO])
	}
	for i := range p.groups {
		g := &p.groups[i]
		c, of := together[g.Kind], 1
		if linked && g.Kind == VO {
			c, of = together[QK], 2
		}
		if c == nil || !p.Config.oneHead(g.Kind) {
			c = &cluster{kind: g.Kind, units: g.Units}
			together[g.Kind] = c
			p.clusters = append(p.clusters, c)
		}
		if g.Units != of*c.units {
			return fmt.Errorf("prune.layout %s needs equal widths in all layers, but %s has %d units and %s %d", p.Config.Layout, c.groups[0], c.units, g, g.Units)
		}
		c.groups, c.of = append(c.groups, g), append(c.of, of)
		c.params = append(c.params, g.params...)
		if of > 1 {
			continue // what holds for the pairs of q and k holds for v
		}
		if c.multiple = g.multiple(p.Config.rows(g.Kind)); g.Kind == Layer {
			continue // its floor is 0: problem.leastLayers holds for all of them
		}
		c.floor = max(p.Config.MinKeep, int(math.Ceil(p.Config.Floor*float64(g.Units)-1e-9)))
		c.floor = min((c.floor+c.multiple-1)/c.multiple*c.multiple, g.Units)
	}
	for i, c := range p.clusters {
		has := map[*param.Param]bool{}
		for _, q := range c.params {
			has[q] = true
		}
		for j, d := range p.clusters {
			for _, q := range d.params {
				if has[q] {
					p.clusters[i].near = append(p.clusters[i].near, j)
					break
				}
			}
		}
	}
	return nil
}

// rows is what the widths of a kind are multiples of.
func (c Config) rows(k Kind) int {
	if n := c.Round[k]; n > 0 && c.RoundTo == 1 {
		return n
	}
	return c.RoundTo
}

// multiple is the number of units whose rows are a multiple of roundTo rows.
func (g *Group) multiple(roundTo int) int {
	if g.Kind == Head || g.Kind == Layer {
		return 1
	}
	rows := 1 // of a unit: 2 for a rotation pair
	for _, p := range g.params {
		if at := dimAt(p, g.Dim); len(p.Dims) > at+2 {
			rows = p.Dims[at+1].Size
		}
	}
	a, b := roundTo, rows
	for b > 0 {
		a, b = b, a%b
	}
	return roundTo / a
}

// rank scores the groups and puts their units in removal order.
func (p *problem) rank() error {
	p.scores = p.Scores
	if p.scores == nil {
		var err error
		ctx := &Context{Set: p.Set, Evidence: p.Evidence, Seed: p.Config.Seed}
		if p.scores, err = Score(p.Config.Criterion, ctx, p.groups); err != nil {
			return err
		}
	}
	p.orders = map[string][]order{}
	shared := map[Kind][]*Group{}
	for i := range p.groups {
		g := &p.groups[i]
		if t := p.scores[g.Dim]; len(t) != g.Lists || len(t[0]) != g.Units {
			return fmt.Errorf("%w: scores of %s are missing or not %d lists of %d units", ErrEvidence, g, g.Lists, g.Units)
		}
		// Only rotation pairs have an identity that a layout can ask for.
		switch rope := g.Kind == QK && p.Set.Dim(g.Dim).Track; {
		case rope && p.Config.oneHead(QK):
			shared[g.Kind] = append(shared[g.Kind], g)
		case rope && p.Config.Layout == LayoutPerLayer:
			if err := p.order([]*Group{g}, true); err != nil {
				return err
			}
		default:
			if err := p.order([]*Group{g}, false); err != nil {
				return err
			}
		}
	}
	for _, k := range Kinds() {
		if len(shared[k]) > 0 {
			if err := p.order(shared[k], true); err != nil {
				return err
			}
		}
	}
	return nil
}

// order sets the removal order of the groups' lists: one for each list, or one for all.
func (p *problem) order(groups []*Group, same bool) error {
	all := make([]headData, 0, len(groups))
	for _, g := range groups {
		p.orders[g.Dim] = make([]order, g.Lists)
		for l := range g.Lists {
			d, err := p.head(*g, l)
			if err != nil {
				return err
			}
			all = append(all, d)
			if !same {
				if p.orders[g.Dim][l], err = d.order(g.Units); err != nil {
					return fmt.Errorf("order the units of %s: %w", g, err)
				}
			}
		}
	}
	if !same {
		return nil
	}
	sum := all[0].sum(all[1:])
	o, err := sum.order(groups[0].Units)
	if err != nil {
		return fmt.Errorf("order the units of %s and others: %w", groups[0], err)
	}
	for i := range o.cost { // each list's share, so that sums over lists come out right
		o.cost[i] /= float64(len(all))
	}
	for _, g := range groups {
		for l := range g.Lists {
			p.orders[g.Dim][l] = o
		}
	}
	return nil
}

// headData is what the order of one list is made from.
type headData struct {
	scores []float64
	refit  []int       // for OrderRefit: the order itself
	inter  []float64   // for OrderInteractions
	grams  [][]float32 // for OrderAttention
}

// head collects the data of one list.
func (p *problem) head(g Group, list int) (d headData, err error) {
	d.scores = p.scores[g.Dim][list]
	if g.Kind == FFN && p.Config.ByRefit(p.Improve) {
		d.refit, err = p.Evidence.refitOrder(g)
		return d, err
	}
	if g.Kind != QK {
		return d, nil
	}
	switch p.Config.QKOrder {
	case OrderInteractions:
		d.inter, err = (&Context{Evidence: p.Evidence}).interactions(g, list)
	case OrderAttention:
		if !p.Set.Dim(g.Dim).Track {
			break // no rotation pairs: by score
		}
		var s *scoreStat
		if s, err = p.Evidence.scoreStat(g); err == nil {
			r := len(s.gram) / g.Lists
			d.grams = s.gram[list*r : (list+1)*r]
		}
	}
	return d, err
}

// sum is the data of lists that share one order.
func (d headData) sum(more []headData) headData {
	add := func(to, x []float64) []float64 {
		out := append([]float64(nil), to...)
		for i := range x {
			out[i] += x[i]
		}
		return out
	}
	for _, m := range more {
		d.scores, d.inter = add(d.scores, m.scores), add(d.inter, m.inter)
		d.grams = append(d.grams[:len(d.grams):len(d.grams)], m.grams...)
	}
	return d
}

func (d headData) order(units int) (order, error) {
	switch {
	case len(d.refit) > 0:
		o := byScore(d.scores) // what a removal costs is still judged by the scores
		o.units = d.refit
		return o, nil
	case d.inter != nil:
		return byInteraction(d.inter, units), nil
	case d.grams != nil:
		o := byScore(d.scores) // what a removal costs is still judged by the scores
		var err error
		o.units, err = byAttention(d.grams, units, DefaultRidge)
		return o, err
	}
	return byScore(d.scores), nil
}

// interactions is mean_n r_n r_n^T of one list, [units, units].
func (c *Context) interactions(g Group, list int) ([]float64, error) {
	s, err := c.gate(g)
	if err != nil {
		return nil, err
	}
	if s.inter == nil {
		return nil, fmt.Errorf("%w: interactions of %s were not gathered", ErrEvidence, g)
	}
	m := make([]float64, len(s.inter[list]))
	for i, x := range s.inter[list] {
		m[i] = x / s.weight
	}
	return m, nil
}

// cut is the cut that the widths amount to. Groups that stay whole are not in it.
func (p *problem) cut(width map[string]int) param.Cut {
	c := param.Cut{}
	for _, g := range p.groups {
		w, ok := width[g.Dim]
		if !ok || w == g.Units || g.Kind != Layer && gone(width, g.Layer) {
			continue
		}
		for _, o := range p.orders[g.Dim] {
			c[g.Dim] = append(c[g.Dim], o.kept(w))
		}
	}
	return c
}
