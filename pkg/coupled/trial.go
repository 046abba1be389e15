package coupled

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// Try runs f on the model as the improved cut would leave it, and puts the weights
// back as they were, to the bit. Nothing is reshaped: the units that would go are
// masked by zeroing their rows on side B (k, o, out or down), which is the same
// function (masking equals slicing), so f may run a graph built before. It is what a
// Request's Losses are best made of. Only what the cut changes is copied; blocks that are not
// float32 are widened while f runs, which makes or reuses a graph that reads float32 there.
func (m Improve) Try(set *param.Set, e *Evidence, cut param.Cut, f func() error) error {
	if err := set.Check(cut); err != nil {
		return err
	}
	touched, err := Touched(set, cut)
	if err != nil {
		return err
	}
	saved := map[*param.Param][]float32{}
	for _, p := range touched {
		if b := p.BlockOf(); b.DType() == param.F32 {
			saved[p] = append([]float32(nil), p.Data()...)
		} else {
			set.Widen(b)
			defer set.Revert(b)
		}
	}
	defer func() {
		for p, x := range saved {
			copy(p.Data(), x)
		}
	}()
	if err := m.Apply(set, e, cut); err != nil {
		return err
	}
	mask(set, cut)
	return f()
}

// Touched are the parameters that a trial of a cut changes, in the order of the set.
func Touched(set *param.Set, cut param.Cut) ([]*param.Param, error) {
	changed := map[*param.Param]bool{}
	for dim := range cut {
		if _, ok := set.DimLayer(dim); !ok {
			return nil, fmt.Errorf("%w: dimension %q has no units", param.ErrCut, dim)
		}
	}
	for _, g := range Groups(set) {
		_, units := cut[g.Dim]
		_, heads := cut[g.Per]
		if !units && !(heads && g.Per != "") {
			continue
		}
		for _, p := range g.params {
			if side := g.Side(p); side == param.SideB || side == param.SideA && (g.Kind == QK || g.normed) {
				changed[p] = true
				if b := set.LayerParam(g.Layer, p.Role.Bias()); b != nil {
					changed[b] = true
				}
			}
		}
	}
	var out []*param.Param
	for _, p := range set.Params {
		if changed[p] {
			out = append(out, p)
		}
	}
	return out, nil
}

// mask zeroes the rows on side B of the units that a checked cut removes, and on
// side A where a norm stands between: what is gone must not count in its mean square.
func mask(set *param.Set, cut param.Cut) {
	for _, g := range Groups(set) {
		keep, ok := cut[g.Dim]
		if !ok {
			continue
		}
		alive := upTo(g.Lists)
		if heads, ok := cut[g.Per]; ok && g.Per != "" {
			alive = heads[0] // heads that go are masked as heads
		}
		for _, l := range alive {
			gone := map[int]bool{}
			for u := range g.Units {
				gone[u] = true
			}
			for _, u := range keep[l] {
				delete(gone, u)
			}
			for _, p := range g.params {
				if side := g.Side(p); side == param.NoSide || side == param.SideA && !g.normed {
					continue
				}
				data := p.Data()
				for u := range gone {
					g.Rows(p, l, u, func(at, n int) { clear(data[at : at+n]) })
				}
			}
		}
	}
}
