package coupled

import (
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/param"
)

// EvidenceKind is evidence beyond that of Options, for criteria that need it
// (Needs.Kinds). A file of its own registers it from init; saving, merging over ranks,
// decay and forgetting follow from Statistic.Visit.
type EvidenceKind struct {
	Name string
	// Activations and Gradients say that it reads activations, or the weight gradients of
	// single sequences: a run then needs a calibration pass of its own, which goes one
	// sequence at a time for gradients.
	Activations, Gradients bool
	// New makes an empty statistic for the set's present shapes.
	New func(set *param.Set) *Statistic
}

// Statistic is what one kind of evidence has gathered: numbers that are sums over
// sequences. Visit and Shrink are required, and one of the functions that take what a
// pass shows.
type Statistic struct {
	// Value is what the kind's criterion reads (Context.Statistic).
	Value any
	// Visit calls each for every number in a fixed order, in slices of which one is nil.
	// What each writes into them becomes the statistic. The sizes follow from the set only.
	Visit func(each func(f64 []float64, f32 []float32) error) error
	// Shrink keeps what a cut leaves, which fits the set.
	Shrink func(cut param.Cut)
	// Gates takes the gate gradients of one sequence at a dimension of units, heads'
	// included, [lists*units].
	Gates func(dim string, r []float64)
	// Gradients takes the weight gradients of one sequence, parallel to the weights.
	Gradients func(grads []float32, scale float32)
	// Sites lists the activations that Activations takes: [rows, cols], a row a token.
	Sites       []Site
	Activations func(site string, x []float32, rows, cols int)
}

var evidenceKinds = map[string]EvidenceKind{}

// RegisterEvidence adds a kind of evidence; a name that is taken is a mistake of the
// program, and panics.
func RegisterEvidence(k EvidenceKind) {
	if _, ok := evidenceKinds[k.Name]; ok || k.Name == "" || k.New == nil {
		panic("coupled: evidence kind without a name of its own: " + k.Name)
	}
	evidenceKinds[k.Name] = k
}

// statistics makes the kinds that the options name, in their order.
func (o Options) statistics(set *param.Set) ([]*Statistic, error) {
	var out []*Statistic
	for _, name := range o.Kinds {
		k, ok := evidenceKinds[name]
		if !ok {
			return nil, fmt.Errorf("%w: kind %q is unknown", ErrEvidence, name)
		}
		out = append(out, k.New(set))
	}
	return out, nil
}

// PerSequence reports whether the weight gradients of single sequences are wanted
// (Evidence.AddGradients), so that a pass runs them one at a time.
func (o Options) PerSequence() bool {
	return o.Squares || slices.ContainsFunc(o.Kinds, func(n string) bool { return evidenceKinds[n].Gradients })
}

// beyondGates reports whether the options ask for what a run's own steps do not show.
func (o Options) beyondGates() bool {
	return o.Activations || o.PerSequence() || slices.ContainsFunc(o.Kinds, func(n string) bool { return evidenceKinds[n].Activations })
}

// Statistic is the Value of a kind of evidence that was gathered.
func (c *Context) Statistic(kind string) (any, error) {
	if c.Evidence != nil {
		if i := slices.Index(c.Evidence.options.Kinds, kind); i >= 0 {
			return c.Evidence.more[i].Value, nil
		}
	}
	return nil, fmt.Errorf("%w: %s was not gathered", ErrEvidence, kind)
}
