package graph

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// Parallel is something that has an entry for every unit and shrinks with the
// parameters: evidence, for one. It changes nothing when it returns an error.
type Parallel interface {
	Shrink(c param.Cut) error
}

// Rewrite carries out a cut on the parameters and on everything parallel to
// them, in place. It decides nothing; it is where the order is stated:
//
//  1. the cut and the slabs are checked against the set, before any change;
//  2. what is parallel to the units shrinks, with the sizes before the cut;
//  3. the slabs (weights, gradients, moments) shrink, one forward sweep over
//     each, and their freed tails go back to the system.
//
// RoPE's frequencies follow from param.Set.Origin when the family builds its
// graph again. Machines lowered before hold views of the old shapes: they must
// not run any more, only serve as LowerOptions.Reuse.
func Rewrite(set *param.Set, c param.Cut, slabs []*param.Slab, parallel ...Parallel) error {
	if err := set.Check(c); err != nil {
		return err
	}
	for _, s := range slabs {
		if len(s.Data) != set.Len() {
			return fmt.Errorf("%w: a slab has %d elements, the weights %d", param.ErrCut, len(s.Data), set.Len())
		}
	}
	for _, p := range parallel {
		if err := p.Shrink(c); err != nil {
			return err
		}
	}
	return set.Shrink(c, slabs...)
}
