package coupled

import (
	"fmt"
	"sort"

	"github.com/ecospa/ecospa/pkg/param"
)

// Group is the units of one kind in one layer.
type Group struct {
	Kind  Kind
	Layer int
	Dim   string // dimension of the parameters: "layer.3.qk"
	Per   string // dimension that the lists belong to: "layer.3.kv"; "" when there is one list
	Lists int    // lists of units: K/V heads for qk and vo, 1 for ffn and head
	Units int    // units in each list
	Cost  int    // parameters that go with one unit of one list: rows of every partner, biases included

	params []*param.Param // all that carry Dim
	normed bool           // a norm's gain follows the units: they are gated before the norm
}

// Groups finds the groups of a set from its dimensions' kinds, by layer, then
// in the order of Kinds. Sizes are those of the set as it is now.
func Groups(set *param.Set) []Group {
	found := map[string]*Group{}
	for _, p := range set.Params {
		for _, d := range p.Dims {
			kind := kindOf(d.Kind)
			if kind == "" {
				continue
			}
			g := found[d.Name]
			if g == nil {
				g = &Group{Kind: kind, Layer: p.Layer, Dim: d.Name, Per: d.Per, Lists: 1, Units: d.Size}
				if d.Per != "" {
					g.Lists = set.Dim(d.Per).Size
				}
				found[d.Name] = g
			}
			g.params = append(g.params, p)
			g.normed = g.normed || p.Role == param.QNorm
			g.Cost += p.Size() / (g.Lists * g.Units)
		}
	}
	out := make([]Group, 0, len(found))
	for _, g := range found {
		out = append(out, *g)
	}
	rank := map[Kind]int{}
	for i, k := range Kinds() {
		rank[k] = i
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Layer != b.Layer {
			return a.Layer < b.Layer
		}
		return rank[a.Kind] < rank[b.Kind]
	})
	return out
}

// Params are the parameters that carry the group's units: both partners of each pair,
// with their biases (Side, Rows).
func (g Group) Params() []*param.Param { return g.params }

// Step is the parameters that one unit less in every list frees.
func (g Group) Step() int { return g.Cost * g.Lists }

// Size is the parameters of all units of the group.
func (g Group) Size() int { return g.Step() * g.Units }

// String is "layer 3 qk".
func (g Group) String() string { return fmt.Sprintf("layer %d %s", g.Layer, g.Kind) }

// FirstLayer is the lowest layer that a cut touches, -1 for none: activations
// that enter it are the same with and without the cut.
func FirstLayer(set *param.Set, cut param.Cut) int {
	first := -1
	for dim, keep := range cut {
		if len(keep) > 0 && len(keep[0]) == 1 && set.Dim(dim).Kind == param.Layer {
			continue // it stays
		}
		if n, ok := set.DimLayer(dim); ok && (first < 0 || n < first) {
			first = n
		}
	}
	return first
}

// Prunable is the number of parameters that carry a unit of any kind: attention
// and feed-forward matrices with the biases that go with their units.
func Prunable(set *param.Set) int {
	n := 0
	for _, p := range set.Params {
		for _, d := range p.Dims {
			if d.Kind != "" {
				n += p.Size()
				break
			}
		}
	}
	return n
}

// sizeWith is the elements p would have with the given dimension sizes.
func sizeWith(p *param.Param, width map[string]int) int {
	if gone(width, p.Layer) {
		return 0
	}
	n := 1
	for _, d := range p.Dims {
		size := d.Size
		if d.Name != "" {
			if w, ok := width[d.Name]; ok {
				size = w
			}
		}
		n *= size
	}
	return n
}

// Count is the parameters the whole set would have with the given sizes of some dimensions.
func Count(set *param.Set, width map[string]int) int {
	n := 0
	for _, p := range set.Params {
		n += sizeWith(p, width)
	}
	return n
}
