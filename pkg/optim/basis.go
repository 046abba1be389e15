package optim

import "github.com/ecospa/ecospa/pkg/param"

// Momenta are the slabs of a state, in full, that follow a change of basis of the weights as
// gradients do; nil where the rule has none, and all of the state must begin anew.
func (c Config) Momenta(full []NamedSlab) []*param.Slab {
	if !c.rule().Momenta || len(full) == 0 {
		return nil
	}
	return []*param.Slab{full[0].Slab}
}

// CrossBasis makes a state, in full, fit the new basis of some parameters after its Momenta have
// been carried there. A matrix needs no more: an orthogonal change commutes with muon's
// orthogonalisation, so that steps are those of the old basis; another one does not, and the
// steps are those that the momentum gives in the new basis. Vectors that also have a second moment,
// which cannot be carried, begin anew.
func CrossBasis(full []NamedSlab, changed []*param.Param) {
	for _, p := range changed {
		for _, s := range full[1:] {
			second := s.Layout.Param(p.Name)
			if second == nil {
				continue
			}
			clear(second.In(s.Slab))
			clear(p.In(full[0].Slab))
		}
	}
}
