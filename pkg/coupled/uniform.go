package coupled

import (
	"cmp"
	"slices"
)

func init() { registerAllocation(uniform{}) }

// uniform removes the same share of the units of every group, and of layers.
type uniform struct{}

func (uniform) name() string { return "uniform" }

func (uniform) widths(p *problem) (map[string]int, error) {
	d := p.newGreedy()
	rank := p.layerRanks()
	err := d.run(func(_ *greedy, c *cluster, to, _ int) float64 {
		if c.kind == Layer { // the share of layers that is gone with it
			return float64(rank[c.groups[0].Layer]+1) / float64(len(p.Set.LayerOrigin()))
		}
		return 1 - float64(to)/float64(c.units)
	})
	return d.width, err
}

// layerRanks are the places of layers among those that may go, the lowest score first.
func (p *problem) layerRanks() map[int]int {
	var of []*Group
	for i := range p.groups {
		if p.groups[i].Kind == Layer {
			of = append(of, &p.groups[i])
		}
	}
	score := func(g *Group) float64 { // none yet where only sizes are asked for
		if t := p.scores[g.Dim]; t != nil {
			return t[0][0]
		}
		return 0
	}
	slices.SortStableFunc(of, func(a, b *Group) int { return cmp.Compare(score(a), score(b)) })
	rank := map[int]int{}
	for i, g := range of {
		rank[g.Layer] = i
	}
	return rank
}
