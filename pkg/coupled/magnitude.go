package coupled

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

func init() { RegisterCriterion(magnitude{}) }

// magnitude is ||a_i|| ||b_i||, the Frobenius norm of the unit's rank-one term.
// Rows of R query heads, of a rotation pair, or of gate and up count together on
// their side (root of the sum of squares), biases with their rows. No data needed.
type magnitude struct{}

func (magnitude) Name() string { return "magnitude" }
func (magnitude) Needs() Needs { return Needs{} }

func (magnitude) Score(c *Context, g Group) ([][]float64, error) {
	if c.Set.Weights == nil {
		return nil, fmt.Errorf("%w: the set has no weights", ErrEvidence)
	}
	a, b := g.Table(), g.Table()
	squares := map[param.Side][][]float64{param.SideA: a, param.SideB: b}
	for _, p := range g.params {
		if g.Side(p) == param.NoSide {
			continue
		}
		g.SumRows(squares[g.Side(p)], p, func(i int) float64 {
			w := float64(c.Set.Weights.Data[i])
			return w * w
		})
	}
	t := g.Table()
	for l := range t {
		for u := range t[l] {
			t[l][u] = math.Sqrt(a[l][u] * b[l][u])
		}
	}
	return t, nil
}

// SumRows adds to t the sum of value over all elements of p that belong to each
// unit; value is given the element's index in the slab.
func (g *Group) SumRows(t [][]float64, p *param.Param, value func(i int) float64) {
	if g.Kind == Layer { // all of it
		for i := p.Offset; i < p.Offset+p.Size(); i++ {
			t[0][0] += value(i)
		}
		return
	}
	for l := range t {
		for u := range t[l] {
			g.Rows(p, l, u, func(at, n int) {
				sum := 0.0
				for i := p.Offset + at; i < p.Offset+at+n; i++ {
					sum += value(i)
				}
				t[l][u] += sum
			})
		}
	}
}
