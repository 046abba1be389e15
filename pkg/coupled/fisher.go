package coupled

func init() { RegisterCriterion(fisher{}) }

// fisher is mean_n r_n^2 with r_n = dL_n/dz, the empirical Fisher information of
// the gate on the unit: the pair judged jointly, cross terms included. It is twice
// the second-order estimate of what removing the unit costs where the Fisher
// matrix stands for the Hessian. Default.
type fisher struct{}

func (fisher) Name() string  { return "fisher" }
func (fisher) gatesOnly()    {}
func (fisher) scoresLayers() {}
func (fisher) Needs() Needs  { return Needs{Gates: true} }

func (fisher) Score(c *Context, g Group) ([][]float64, error) {
	s, err := c.gate(g)
	if err != nil {
		return nil, err
	}
	t := g.Table()
	for l := range t {
		for u := range t[l] {
			t[l][u] = s.square[l*g.Units+u] / s.weight
		}
	}
	return t, nil
}
