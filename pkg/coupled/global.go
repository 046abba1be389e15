package coupled

func init() { registerAllocation(global{}) }

// global lets the units of all groups compete by score per parameter. Since heads
// of a layer keep equally many units, what competes is a step of a layer: the
// lowest unit of each of its K/V heads.
type global struct{}

func (global) name() string { return "global" }

func (global) widths(p *problem) (map[string]int, error) {
	d := p.newGreedy()
	err := d.run(func(d *greedy, c *cluster, to, freed int) float64 {
		return d.scoreOf(c, to) / float64(max(1, freed))
	})
	return d.width, err
}

// scoreOf is the score that goes when a cluster goes from its present width to another.
func (d *greedy) scoreOf(c *cluster, to int) float64 {
	sum := 0.0
	for i, g := range c.groups {
		from := g.Units - d.width[g.Dim]
		for l, o := range d.p.orders[g.Dim] {
			if !d.aliveList(g, l) {
				continue
			}
			for _, x := range o.cost[from : g.Units-to*c.of[i]] {
				sum += x
			}
		}
	}
	return sum
}

// aliveList reports whether list l of g still stands: its K/V head has not gone.
func (d *greedy) aliveList(g *Group, l int) bool {
	heads := d.p.orders[g.Per]
	if g.Per == "" || len(heads) == 0 {
		return true
	}
	for _, h := range heads[0].units[:len(heads[0].units)-d.width[g.Per]] {
		if h == l {
			return false
		}
	}
	return true
}
