package coupled

func init() { registerAllocation(uniform{}) }

// uniform removes the same share of the units of every group.
type uniform struct{}

func (uniform) name() string { return "uniform" }

func (uniform) widths(p *problem) (map[string]int, error) {
	d := p.newGreedy()
	err := d.run(func(_ *greedy, c *cluster, to, _ int) float64 {
		return 1 - float64(to)/float64(c.units)
	})
	return d.width, err
}
