package graph

import "github.com/ecospa/ecospa/pkg/param"

// Parallel is something that has an entry for every unit and shrinks with the
// parameters: evidence, for one.
type Parallel interface {
	Shrink(c param.Cut) error
}

// Rewrite carries out a cut on the parameters and on everything parallel to
// them, in place: first the cut is checked, then what is parallel to the units,
// then the slabs (weights, gradients, moments) in one forward sweep each, whose
// freed tails go back to the system. It decides nothing. Machines lowered
// before hold views of the old shapes and must be lowered again.
func Rewrite(set *param.Set, c param.Cut, slabs []*param.Slab, parallel ...Parallel) error {
	if err := set.Check(c); err != nil {
		return err
	}
	for _, p := range parallel {
		if err := p.Shrink(c); err != nil {
			return err
		}
	}
	return set.Shrink(c, slabs...)
}
