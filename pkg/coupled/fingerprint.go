package coupled

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// Fingerprint is what identifies a model: what a plan must find to be applied.
type Fingerprint struct {
	Family string           `json:"family"`
	Shapes map[string][]int `json:"shapes"` // of every parameter that carries units, by name
}

// FingerprintOf is the fingerprint of a set.
func FingerprintOf(family string, set *param.Set) Fingerprint {
	f := Fingerprint{Family: family, Shapes: map[string][]int{}}
	for _, g := range Groups(set) {
		for _, p := range g.params {
			var shape []int
			for _, d := range p.Dims {
				shape = append(shape, d.Size)
			}
			f.Shapes[p.Name] = shape
		}
	}
	return f
}

// Match reports the first difference between the fingerprint and a model, by name and shape.
func (f Fingerprint) Match(family string, set *param.Set) error {
	if f.Family != family {
		return fmt.Errorf("%w: it is for a model of family %q, this one is %q", ErrPlan, f.Family, family)
	}
	have := FingerprintOf(family, set)
	var names []string
	for n := range have.Shapes {
		names = append(names, n)
	}
	for n := range f.Shapes {
		if have.Shapes[n] == nil {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	for _, n := range names {
		switch a, b := f.Shapes[n], have.Shapes[n]; {
		case b == nil:
			return fmt.Errorf("%w: it expects a parameter %s %s, this model has none", ErrPlan, n, shape(a))
		case a == nil:
			return fmt.Errorf("%w: this model has a parameter %s %s that it does not know", ErrPlan, n, shape(b))
		case !slices.Equal(a, b):
			return fmt.Errorf("%w: parameter %s is %s, it expects %s", ErrPlan, n, shape(b), shape(a))
		}
	}
	return nil
}

// shape prints "[2 16 64]", long ones cut off.
func shape(s []int) string {
	if len(s) > 8 {
		return strings.TrimSuffix(fmt.Sprint(s[:8]), "]") + " ...]"
	}
	return fmt.Sprint(s)
}
