package prune

import (
	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

// basisTokens is how many tokens at least the basis is chosen by.
const basisTokens = 1024

// basisData is the sequences that a basis is chosen by: an eighth, at least basisTokens.
func basisData(s Sequences) Sequences {
	return s.slice(0, min(s.Len(), max(s.Len()/8, (basisTokens+s.Context-1)/s.Context)))
}

// changeBasis changes the basis of the set, layer by layer, by a forward pass over some
// sequences where it needs to see activations.
func (p *Job) changeBasis(data Sequences, improve coupled.Improve) error {
	if improve.Basis == "" || improve.Basis == coupled.BasisNone { // "" of a plan that came with another program
		return nil
	}
	prepare, _ := improve.Options(p.Model.Scale())
	c := p.Calibration
	c.Data = basisData(data)
	if prepare.Basis {
		p.tell(ChoosingBasis{c.Data.Len()})
	}
	var known *store
	if p.Checkpoint != "" {
		known = newStore(p.Checkpoint, "basis", true)
		defer known.Close()
		known.find(p.Set.Layers())
	}
	return p.phase(PhaseBasis, func() error {
		return p.once(func() error { return c.basis(improve.Basis, prepare, known, p.Momenta) }, p.Momenta...)
	})
}

// basis changes the basis of one layer after the other, by moments that are known, where
// they are of all layers, and else become so; momenta go along.
func (c *Calibration) basis(method string, o coupled.Options, known *store, momenta []*param.Slab) error {
	s := c.newStream(c.Data)
	defer s.Close()
	all := known.has(0, c.Set.Layers()-1)
	for layer := range c.Set.Layers() {
		var e *coupled.Evidence
		if o.Basis {
			o.Layers, o.Product, o.Pool = []int{layer}, c.product(), c.Pool
			e = coupled.NewEvidence(c.Set, o)
			if err := s.basisMoments(layer, e, known, all); err != nil { // before the basis changes, which leaves its outputs alone
				return err
			}
		}
		_, err := coupled.ChangeBasis(c.Set, e, method, momenta, layer)
		if e != nil {
			e.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// basisMoments gathers the moments of a layer, or reads them where those of all are known.
func (s *stream) basisMoments(layer int, e *coupled.Evidence, known *store, all bool) error {
	if all {
		return known.load(layer, e)
	}
	if err := s.step(e); err != nil || known == nil {
		return err
	}
	return known.save(layer, e)
}
