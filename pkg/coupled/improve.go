package coupled

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// Improve says which changes of the weights go along with a cut.
type Improve struct {
	Basis      string  `yaml:"basis" json:"basis"`           // none, svd or data-svd (default): see ChangeBasis
	Compensate string  `yaml:"compensate" json:"compensate"` // none, bias or lsq (default): see Compensate
	Gains      bool    `yaml:"gains" json:"gains"`           // fit gains of kept rotation pairs; default true; only for models with RoPE
	Ridge      float64 `yaml:"ridge" json:"ridge"`           // ridge of both fits, relative to the mean diagonal; default 1e-3
}

// DefaultImprove is the full recipe.
func DefaultImprove() Improve {
	return Improve{Basis: BasisDataSVD, Compensate: CompensateLSQ, Gains: true, Ridge: DefaultRidge}
}

// Validate reports the first value that makes no sense, by key.
func (m Improve) Validate() error {
	if !slices.Contains(Bases(), m.Basis) {
		return fmt.Errorf("basis is %q, expected one of %s", m.Basis, strings.Join(Bases(), ", "))
	}
	if !slices.Contains(Compensations(), m.Compensate) {
		return fmt.Errorf("compensate is %q, expected one of %s", m.Compensate, strings.Join(Compensations(), ", "))
	}
	if !(m.Ridge > 0 && m.Ridge < 1e6) {
		return fmt.Errorf("ridge is %g, expected above 0", m.Ridge)
	}
	return nil
}

// Options is what a calibration pass has to gather before the basis is changed
// (prepare) and before a cut is improved. scale is what multiplies q.k before the
// softmax.
func (m Improve) Options(scale float64) (prepare, improve Options) {
	prepare = Options{Basis: m.Basis == BasisDataSVD, Scale: scale}
	improve = Options{Compensation: m.Compensate != CompensateNone, Gains: m.Gains, Scale: scale}
	return prepare, improve
}

// Apply compensates a cut and fits gains, on the uncut weights, before the cut is
// carried out.
func (m Improve) Apply(set *param.Set, e *Evidence, cut param.Cut) error {
	if err := Compensate(set, e, cut, m.Compensate, m.Ridge); err != nil {
		return err
	}
	if m.Gains {
		return FitGains(set, e, cut, m.Ridge)
	}
	return nil
}

// Join is the options that gather what either asks for. Scale, Queries and Product
// are those of o where it has them.
func (o Options) Join(p Options) Options {
	for _, k := range p.Interactions {
		if !hasKind(o.Interactions, k) {
			o.Interactions = append(o.Interactions[:len(o.Interactions):len(o.Interactions)], k)
		}
	}
	o.Squares = o.Squares || p.Squares
	o.Activations = o.Activations || p.Activations
	o.Basis = o.Basis || p.Basis
	o.Compensation = o.Compensation || p.Compensation
	o.Gains = o.Gains || p.Gains
	o.WholeLayers = o.WholeLayers || p.WholeLayers
	for _, k := range p.Kinds {
		if !slices.Contains(o.Kinds, k) {
			o.Kinds = append(o.Kinds[:len(o.Kinds):len(o.Kinds)], k)
		}
	}
	if o.Scale == 0 {
		o.Scale = p.Scale
	}
	if o.Queries == 0 {
		o.Queries = p.Queries
	}
	if o.Product == nil {
		o.Product = p.Product
	}
	return o
}
