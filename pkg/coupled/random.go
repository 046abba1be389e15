package coupled

import (
	"hash/fnv"
	"math/rand/v2"
)

func init() { RegisterCriterion(random{}) }

// random is uniform noise in [0, 1), the floor every criterion must beat. Each
// group draws from a stream of its own, seeded by Context.Seed and its dimension's name.
type random struct{}

func (random) Name() string  { return "random" }
func (random) scoresLayers() {}
func (random) Needs() Needs  { return Needs{} }

func (random) Score(c *Context, g Group) ([][]float64, error) {
	h := fnv.New64a()
	h.Write([]byte(g.Dim))
	rng := rand.New(rand.NewPCG(c.Seed, h.Sum64()))
	t := g.Table()
	for l := range t {
		for u := range t[l] {
			t[l][u] = rng.Float64()
		}
	}
	return t, nil
}
