package coupled

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

func init() { RegisterCriterion(activation{}) }

// activation is rms(h_i) ||b_i||: how large the activation on which the unit's gate
// sits is over all tokens, times the norm of the rows that consume it. Forward only.
//
//	kind   h                          b
//	qk     query (rotated)            row of W_K, with its bias
//	vo     context                    row of W_O
//	ffn    hidden channel             row of W_out or W_down
//	head   the contexts of the head   its rows of W_O
//
// A unit of several columns (R query heads, a head) has the root of the sum of their
// squares, sqrt(sum_c rms_c^2 ||b_c||^2); the query heads of a K/V head and the
// columns of a rotation pair share one b.
type activation struct{}

func (activation) Name() string { return "activation" }
func (activation) Needs() Needs { return Needs{Activations: true} }

func (activation) Score(c *Context, g Group) ([][]float64, error) {
	if c.Evidence == nil || c.Evidence.sites[g.Layer] == nil {
		return nil, fmt.Errorf("%w: none was gathered", ErrEvidence)
	}
	s := c.Evidence.sites[g.Layer]
	m := map[Kind]*moment{QK: s.q, VO: s.ctx, FFN: s.ffn, Head: s.ctx}[g.Kind]
	if m == nil || m.weight == 0 {
		return nil, fmt.Errorf("%w: no activation was gathered", ErrEvidence)
	}
	if c.Set.Weights == nil {
		return nil, fmt.Errorf("%w: the set has no weights", ErrEvidence)
	}
	if n := g.Lists * g.Units; len(m.square)%n != 0 {
		return nil, fmt.Errorf("%w: it is of another model: %d columns for %d units", ErrEvidence, len(m.square), n)
	}
	t := g.Table()
	for l := range t {
		for u := range t[l] {
			t[l][u] = math.Sqrt(c.consumed(g, s, m, l, u))
		}
	}
	return t, nil
}

// consumed is the sum over the columns of a unit of mean(h^2) ||b||^2.
func (c *Context) consumed(g Group, s *site, m *moment, list, unit int) float64 {
	w := c.Set.Weights.Data
	norm := func(from, n int) float64 {
		sum := 0.0
		for _, x := range w[from : from+n] {
			sum += float64(x) * float64(x)
		}
		return sum
	}
	sum := 0.0
	switch g.Kind {
	case QK: // rotation mixes the two columns of a pair: they count together on both sides
		b, h := 0.0, 0.0
		for _, p := range g.params {
			if g.Side(p) == param.SideB {
				g.Rows(p, list, unit, func(at, n int) { b += norm(p.Offset+at, n) })
			}
		}
		heads := s.heads * s.group / g.Lists // of a list
		for r := range heads {
			for j := range s.pair {
				h += m.square[((list*heads+r)*s.qk+unit)*s.pair+j] / m.weight
			}
		}
		return h * b
	default: // rows of o, out or down, in the order of the columns
		for _, p := range g.params {
			if g.Side(p) != param.SideB {
				continue
			}
			width := p.Dims[len(p.Dims)-1].Size
			g.Rows(p, list, unit, func(at, n int) {
				for i := at; i < at+n; i += width {
					sum += m.square[i/width] / m.weight * norm(p.Offset+i, width)
				}
			})
		}
	}
	return sum
}
