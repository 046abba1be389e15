package coupled

import (
	"fmt"
	"math"
	"slices"

	"github.com/ecospa/ecospa/pkg/param"
)

const influenceKind = "layer-influence"

func init() {
	RegisterCriterion(influence{})
	RegisterEvidence(EvidenceKind{Name: influenceKind, Activations: true, New: newInfluence})
}

// influence scores a whole layer by how far it turns the residual stream: 1 - cosine of a
// token's row before and after it, the mean over tokens (block influence,
// https://arxiv.org/abs/2403.03853). Units of other kinds are scored as by fisher.
type influence struct{ fisher }

func (influence) Name() string { return "influence" }
func (influence) Needs() Needs { return Needs{Gates: true, Kinds: []string{influenceKind}} }

func (c influence) Score(ctx *Context, g Group) ([][]float64, error) {
	if g.Kind != Layer {
		return c.fisher.Score(ctx, g)
	}
	value, err := ctx.Statistic(influenceKind)
	if err != nil {
		return nil, err
	}
	s := value.(*influenceStat)
	if g.Layer >= len(s.sum) || s.rows[g.Layer] == 0 {
		return nil, fmt.Errorf("%w: no residual stream was seen at layer %d", ErrEvidence, g.Layer)
	}
	return [][]float64{{max(0, s.sum[g.Layer]/s.rows[g.Layer])}}, nil
}

// influenceStat is the sums of 1 - cosine by layer, and how many rows they are over. Sites
// come in the order of the layers: before are the rows of the one before the site at hand.
type influenceStat struct {
	sum, rows   []float64
	sites       []string // what enters each layer, then the output
	at          int      // of sites, at hand; -1 before the first
	before, now []float32
	seen        int // of before
}

func newInfluence(set *param.Set) *Statistic {
	n := len(set.LayerOrigin())
	s := &influenceStat{sum: make([]float64, n), rows: make([]float64, n), at: -1}
	out := &Statistic{Value: s, Activations: s.add}
	out.Visit = func(each func(f64 []float64, f32 []float32) error) error {
		if err := each(s.sum, nil); err != nil {
			return err
		}
		return each(s.rows, nil)
	}
	out.Sites = s.name(n, streamWidth(set))
	out.Shrink = func(cut param.Cut) {
		left := cut.Left(len(s.sum))
		for i, l := range left {
			s.sum[i], s.rows[i] = s.sum[l], s.rows[l]
		}
		s.sum, s.rows, s.at = s.sum[:len(left)], s.rows[:len(left)], -1
		out.Sites = s.name(len(left), out.Sites[0].Cols)
	}
	return out
}

// name gives the sites of n layers their names.
func (s *influenceStat) name(n, cols int) (sites []Site) {
	s.sites = nil
	for l := range n {
		s.sites = append(s.sites, param.InLayer(l, "input"))
	}
	s.sites = append(s.sites, "output")
	for _, name := range s.sites {
		sites = append(sites, Site{Name: name, Cols: cols})
	}
	return sites
}

// streamWidth is the width of the residual stream.
func streamWidth(set *param.Set) int {
	for _, p := range set.Params {
		if p.Role == param.O || p.Role == param.Down {
			return p.Dims[len(p.Dims)-1].Size
		}
	}
	return 0
}

// add takes rows of a site, in several calls perhaps, after all of those of the site before.
func (s *influenceStat) add(site string, x []float32, rows, cols int) {
	if at := slices.Index(s.sites, site); at != s.at {
		s.at, s.seen = at, 0
		s.before, s.now = s.now, s.before[:0]
	}
	if s.at > 0 {
		for i := range rows {
			from := (s.seen + i) * cols
			s.sum[s.at-1] += 1 - cosine(s.before[from:][:cols], x[i*cols:][:cols])
		}
		s.rows[s.at-1] += float64(rows)
	}
	s.seen += rows
	s.now = append(s.now, x...)
}

// cosine is that of the angle between two rows, 1 where one is zero.
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		y := float64(b[i])
		ab, aa, bb = ab+float64(x)*y, aa+float64(x)*float64(x), bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 1
	}
	return ab / math.Sqrt(aa*bb)
}
