package main

import (
	"errors"
	"math"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

func init() { coupled.RegisterCriterion(meanSize{}) }

// meanSize is the mean size of a unit's gate gradient times the norm of the rows that
// consume the unit.
type meanSize struct{}

func (meanSize) Name() string { return "mean-size" }

func (meanSize) Needs() coupled.Needs {
	return coupled.Needs{Gates: true, Kinds: []string{"gate-sizes"}}
}

func (meanSize) Score(c *coupled.Context, g coupled.Group) ([][]float64, error) {
	sizes, err := c.Statistic("gate-sizes")
	if err != nil {
		return nil, err
	}
	scores := sizes.(*coupled.Units).Mean(g)
	if scores == nil {
		return nil, errors.New("no gate gradients of this group were seen")
	}
	squares := g.Table()
	for _, p := range g.Params() {
		if g.Side(p) == param.SideB {
			g.SumRows(squares, p, func(i int) float64 { return math.Pow(float64(c.Set.Weights.Data[i]), 2) })
		}
	}
	for l := range scores {
		for u := range scores[l] {
			scores[l][u] *= math.Sqrt(squares[l][u])
		}
	}
	return scores, nil
}
