package coupled

import "math"

func init() { RegisterCriterion(taylor{}) }

// taylor is |mean_n r_n| with r_n = dL_n/dz: the first-order change of the mean
// loss when the unit goes.
type taylor struct{}

func (taylor) Name() string  { return "taylor" }
func (taylor) gatesOnly()    {}
func (taylor) scoresLayers() {}
func (taylor) Needs() Needs  { return Needs{Gates: true} }

func (taylor) Score(c *Context, g Group) ([][]float64, error) {
	s, err := c.gate(g)
	if err != nil {
		return nil, err
	}
	t := g.Table()
	for l := range t {
		for u := range t[l] {
			t[l][u] = math.Abs(s.sum[l*g.Units+u] / s.weight)
		}
	}
	return t, nil
}
