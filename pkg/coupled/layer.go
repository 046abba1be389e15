package coupled

import "github.com/ecospa/ecospa/pkg/param"

// LayerGroups finds the whole layers of a set, each a group of one unit that carries all of
// the layer's parameters. There are none in a set of one layer, which cannot lose it.
func LayerGroups(set *param.Set) []Group {
	n := len(set.LayerOrigin())
	if n < 2 {
		return nil
	}
	out := make([]Group, n)
	for l := range out {
		out[l] = Group{Kind: Layer, Layer: l, Dim: param.WholeLayer(l), Lists: 1, Units: 1}
	}
	for _, p := range set.Params {
		if p.Layer >= 0 && p.Layer < n {
			g := &out[p.Layer]
			g.params = append(g.params, p)
			g.Cost += p.Size()
		}
	}
	return out
}

// groupsOf are the groups of some kinds, by layer, whole layers behind their units.
func groupsOf(set *param.Set, kinds []Kind) []Group {
	var out, whole []Group
	if hasKind(kinds, Layer) {
		whole = LayerGroups(set)
	}
	layer := 0
	next := func(until int) {
		for ; layer < len(whole) && layer < until; layer++ {
			out = append(out, whole[layer])
		}
	}
	for _, g := range Groups(set) {
		if next(g.Layer); hasKind(kinds, g.Kind) {
			out = append(out, g)
		}
	}
	next(len(whole))
	return out
}

// layerScorer is a criterion that scores whole layers too.
type layerScorer interface{ scoresLayers() }

// ScoresLayers reports whether a criterion scores whole layers.
func ScoresLayers(c Criterion) bool {
	_, ok := c.(layerScorer)
	return ok
}

// gone reports whether widths have a whole layer at 0.
func gone(width map[string]int, layer int) bool {
	w, ok := width[param.WholeLayer(layer)]
	return ok && w == 0
}

// leastLayers is how many layers stay at least.
func (p *problem) leastLayers() int {
	return max(1, int(p.Config.Floor*float64(len(p.Set.LayerOrigin()))+0.999999999))
}

// layersLeft is how many layers stand.
func (d *greedy) layersLeft() int {
	n := 0
	for l := range d.p.Set.LayerOrigin() {
		if !gone(d.width, l) {
			n++
		}
	}
	return n
}

// stuck reports whether a cluster can go no further because of whole layers: those of its
// groups are gone, or it is one of the last that stay.
func (d *greedy) stuck(c *cluster) bool {
	if c.kind == Layer {
		return d.p.widthsOnly || d.layersLeft() <= d.p.leastLayers()
	}
	for _, g := range c.groups {
		if !gone(d.width, g.Layer) {
			return false
		}
	}
	return true
}

// dropSmallest takes whole layers away, those with the fewest parameters first, until no
// more may go: any other choice leaves fewer parameters.
func (d *greedy) dropSmallest() {
	for d.layersLeft() > d.p.leastLayers() {
		var best *cluster
		least := 0
		for _, c := range d.p.clusters {
			if c.kind != Layer || gone(d.width, c.groups[0].Layer) {
				continue
			}
			if n := d.params(c); best == nil || n < least {
				best, least = c, n
			}
		}
		if best == nil {
			return
		}
		d.set(best, 0)
	}
}

// giveBack widens what stands again, the most valuable steps first, as far as the budget of
// parameters has room: a whole layer may free far more than was wanted.
func (d *greedy) giveBack(pri priority) {
	if d.layersLeft() == len(d.p.Set.LayerOrigin()) {
		return
	}
	for room := d.p.Budget.Params - Count(d.p.Set, d.width); room > 0; {
		var best *cluster
		to, cost, most := 0, 0, 0.0
		for _, c := range d.p.clusters {
			w := d.width[c.groups[0].Dim]
			if c.kind == Layer || w == c.units || d.stuck(c) {
				continue
			}
			before, up := d.params(c), min(c.units, w/c.multiple*c.multiple+c.multiple)
			d.set(c, up)
			n := d.params(c) - before
			value := pri(d, c, w, n)
			if d.set(c, w); n > 0 && n <= room && (best == nil || value > most) {
				best, to, cost, most = c, up, n, value
			}
		}
		if best == nil {
			return
		}
		d.set(best, to)
		room -= cost
	}
}

// standing is the groups of a cluster whose layers stand.
func (d *greedy) standing(c *cluster) int {
	n := 0
	for _, g := range c.groups {
		if !gone(d.width, g.Layer) {
			n++
		}
	}
	return n
}

// lostIn is what widths have cost a layer so far, by a cost of clusters: that of clusters
// over several layers is divided among those that stand.
func (d *greedy) lostIn(layer int, cost func(c *cluster) float64) float64 {
	sum := 0.0
	for _, c := range d.p.clusters {
		if c.kind == Layer {
			continue
		}
		for _, g := range c.groups {
			if g.Layer == layer {
				sum += cost(c) / float64(max(1, d.standing(c)))
			}
		}
	}
	return sum
}
