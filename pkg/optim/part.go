package optim

import "github.com/ecospa/ecospa/pkg/param"

// Part is the blocks of a set from Lo up to Hi: those that one rank updates.
type Part struct{ Lo, Hi int }

// Parts divides the blocks of a set among n ranks, as evenly as blocks allow; a rank may
// get none.
func Parts(set *param.Set, n int) []Part {
	parts := make([]Part, n)
	b := 0
	for r := range parts {
		parts[r].Lo = b
		goal := set.Len() * (r + 1) / n
		// A block whose larger half stands before the goal belongs to this rank.
		for b < len(set.Blocks) && (r == n-1 || set.Blocks[b].Offset+set.Blocks[b].Size()/2 < goal) {
			b++
		}
		parts[r].Hi = b
	}
	return parts
}

// Span is the elements, in a slab of the slot, that hold the state of a part of the set.
func (s Slot) Span(set *param.Set, part Part) (lo, hi int) {
	return s.offset(set, part.Lo), s.offset(set, part.Hi)
}

// offset is where the first block from b on that the slot has begins.
func (s Slot) offset(set *param.Set, b int) int {
	for ; b < len(set.Blocks); b++ {
		if own := s.Layout.Block(set.Blocks[b].Name); own != nil {
			return own.Offset
		}
	}
	return s.Layout.Len()
}

// Bounds are the ends of the parts in slabs of the slot: part r is bounds[r] to bounds[r+1].
func (s Slot) Bounds(set *param.Set, parts []Part) []int {
	bounds := make([]int, len(parts)+1)
	for r, p := range parts {
		_, bounds[r+1] = s.Span(set, p)
	}
	return bounds
}

// Cutter cuts slabs of one layout, in full, that is not the weights' set: a graph.Parallel.
type Cutter struct {
	Layout *param.Set
	Slabs  []*param.Slab
}

// Shrink applies what of a cut concerns the layout's dimensions.
func (c *Cutter) Shrink(cut param.Cut) error {
	own := param.Cut{}
	for name, keep := range cut {
		if c.Layout.Dim(name).Size > 0 {
			own[name] = keep
		}
	}
	return c.Layout.Shrink(own, c.Slabs...)
}

// Cutting divides an optimizer's slabs, in full, by how a cut of the set reaches them:
// those with an element a weight are cut with the set, the others by Cutters.
func Cutting(set *param.Set, slabs []NamedSlab) (with []*param.Slab, own []*Cutter) {
	of := map[*param.Set]*Cutter{}
	for _, s := range slabs {
		switch {
		case s.Layout == set:
			with = append(with, s.Slab)
		case of[s.Layout] == nil:
			of[s.Layout] = &Cutter{s.Layout, []*param.Slab{s.Slab}}
			own = append(own, of[s.Layout])
		default:
			of[s.Layout].Slabs = append(of[s.Layout].Slabs, s.Slab)
		}
	}
	return with, own
}
