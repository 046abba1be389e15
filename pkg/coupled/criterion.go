package coupled

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// Criterion turns evidence and weights into scores. One file each, registered from init
// (RegisterCriterion), here or in another module.
type Criterion interface {
	// Name is what users type.
	Name() string
	// Needs is the evidence it reads beside the gates.
	Needs() Needs
	// Score gives every unit of a group a score, [lists][units].
	Score(c *Context, g Group) ([][]float64, error)
}

// Needs says what a criterion reads, so that nothing else is gathered.
type Needs struct {
	Gates       bool     // gate gradients, from backward passes
	Squares     bool     // squared weight gradients of single sequences
	Activations bool     // second moments of activations
	Kinds       []string // registered kinds of evidence
}

// Context is what a criterion may look at.
type Context struct {
	Set      *param.Set // with weights, for the criteria that read them
	Evidence *Evidence  // nil when none was gathered
	Seed     uint64     // of random
}

// gatesOnly is a criterion that never looks at weights.
type gatesOnly interface{ gatesOnly() }

var criteria = map[string]Criterion{}

// RegisterCriterion adds a criterion; a name that is taken is a mistake of the program,
// and panics.
func RegisterCriterion(c Criterion) {
	if criteria[c.Name()] != nil {
		panic("coupled: criterion registered twice: " + c.Name())
	}
	criteria[c.Name()] = c
}

// Criteria lists the names of the criteria, sorted.
func Criteria() []string {
	names := make([]string, 0, len(criteria))
	for n := range criteria {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// layerCriteria lists those that score whole layers.
func layerCriteria() []string {
	return slices.DeleteFunc(Criteria(), func(name string) bool { return !ScoresLayers(criteria[name]) })
}

// CriterionByName returns a criterion. The error for an unknown name lists the valid ones.
func CriterionByName(name string) (Criterion, error) {
	if c := criteria[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("criterion %q is unknown, expected one of %s", name, strings.Join(Criteria(), ", "))
}

// Score scores every group by the named criterion.
func Score(name string, c *Context, groups []Group) (Scores, error) {
	crit, err := CriterionByName(name)
	if err != nil {
		return nil, err
	}
	scores := Scores{}
	for _, g := range groups {
		if g.Kind == Layer && !ScoresLayers(crit) {
			return nil, fmt.Errorf("criterion %s does not score whole layers, expected one of %s", name, strings.Join(layerCriteria(), ", "))
		}
		done := func(bool) error { return nil }
		if _, ok := crit.(gatesOnly); !ok { // weights of another type are float32 meanwhile
			done = widened(c.Set, g.params...)
		}
		t, err := crit.Score(c, g)
		if err = errors.Join(err, done(false)); err != nil {
			return nil, fmt.Errorf("score %s by %s: %w", g, name, err)
		}
		for l := range t {
			for u, x := range t[l] {
				if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
					return nil, fmt.Errorf("%w: score %s by %s: list %d unit %d is %g, expected a finite number, 0 or more", ErrEvidence, g, name, l, u, x)
				}
			}
		}
		scores[g.Dim] = t
	}
	return scores, nil
}

// gate returns the statistics of a group that has been seen, of the right shape.
func (c *Context) gate(g Group) (*gateStat, error) {
	if c.Evidence == nil {
		return nil, fmt.Errorf("%w: none was gathered", ErrEvidence)
	}
	s := c.Evidence.gates[g.Dim]
	if s == nil && g.Kind == Layer {
		return nil, fmt.Errorf("%w: the gates of whole layers were not gathered", ErrEvidence)
	}
	if s == nil || s.lists != g.Lists || s.units != g.Units {
		return nil, fmt.Errorf("%w: it is of another model: dimension %q should have %d lists of %d units", ErrEvidence, g.Dim, g.Lists, g.Units)
	}
	if s.weight == 0 {
		return nil, fmt.Errorf("%w: no sequence was seen at %q", ErrEvidence, g.Dim)
	}
	return s, nil
}
