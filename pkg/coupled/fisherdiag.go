package coupled

import "fmt"

func init() { RegisterCriterion(fisherDiag{}) }

// fisherDiag is the sum over the weights w of both partners (biases included) of
// mean_n(g_w^2) w^2: the diagonal of the empirical Fisher matrix of the weights,
// summed over the pair. It needs the weight gradients of single sequences.
type fisherDiag struct{}

func (fisherDiag) Name() string  { return "fisher-diag" }
func (fisherDiag) scoresLayers() {}
func (fisherDiag) Needs() Needs  { return Needs{Squares: true} }

func (fisherDiag) Score(c *Context, g Group) ([][]float64, error) {
	value, err := c.diagonal()
	if err != nil {
		return nil, err
	}
	t := g.Table()
	for _, p := range g.params {
		g.SumRows(t, p, value)
	}
	return t, nil
}

// diagonal returns mean_n(g_w^2) w^2 of the weight at an index of the slab.
func (c *Context) diagonal() (func(i int) float64, error) {
	e := c.Evidence
	if e == nil || e.Squares == nil || e.gradients == 0 {
		return nil, fmt.Errorf("%w: no squared weight gradients were gathered", ErrEvidence)
	}
	if c.Set.Weights == nil || len(e.Squares.Data) != c.Set.Len() {
		return nil, fmt.Errorf("%w: %d squared gradients for %d weights", ErrEvidence, len(e.Squares.Data), c.Set.Len())
	}
	return func(i int) float64 {
		w := float64(c.Set.Weights.Data[i])
		return float64(e.Squares.Data[i]) / e.gradients * w * w
	}, nil
}
