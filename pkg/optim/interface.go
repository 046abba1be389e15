package optim

import (
	"fmt"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// Interface is an optimizer: state, and a rule that changes weights by it.
type Interface interface {
	// Slabs is the state, always in the same order. It shares memory with the optimizer.
	Slabs() []NamedSlab
	// Update makes one step and clears the gradients.
	Update(s Step)
	// Begin begins a step that is made block by block: UpdateBlock follows for each of the
	// optimizer's Blocks, in any order. Together they do what Update does.
	Begin()
	// UpdateBlock changes the weights of one block by its gradient g, which stays as it is.
	UpdateBlock(s Step, b *param.Block, g []float32)
	// BytesPerParam is the bytes of state a weight.
	BytesPerParam() float64
	// Updates is the number of steps made so far; SetUpdates restores it.
	Updates() int
	SetUpdates(n int)
}

// Slot is a part of an optimizer's state: what it is called and how it is laid out.
type Slot struct {
	Name   string     // of its file in a checkpoint
	Layout *param.Set // the weights' own set (an element a weight), or one of the same blocks, of which some may be missing
}

// NamedSlab is the memory of a Slot, for the blocks of an optimizer's Part.
type NamedSlab struct {
	Slot
	Slab *param.Slab
}

// Step is what one update needs.
type Step struct {
	Pool  *kernel.Pool
	Set   *param.Set
	Grads *param.Slab // not read by UpdateBlock
	LR    float64
	Norm  float64 // global L2 norm of the gradients, for Config.Clip
	// Scale, where it is not nil, is what LR is multiplied by for a parameter: rates that
	// follow each tensor's own size (see WeightScale).
	Scale func(p *param.Param) float64
	// Stale, where it is not nil, reports blocks whose gradients need not be cleared: the
	// next step overwrites them.
	Stale func(block string) bool
}

// rate is the learning rate of a parameter.
func (s Step) rate(p *param.Param) float64 {
	if s.Scale == nil {
		return s.LR
	}
	return s.LR * s.Scale(p)
}

// stale reports whether the gradients of a block need not be cleared.
func (s Step) stale(b *param.Block) bool { return s.Stale != nil && s.Stale(b.Name) }

// Rule is what one kind of optimizer registers.
type Rule struct {
	// Slots lists the state for a set. The configuration is valid.
	Slots func(set *param.Set, c Config) []Slot
	// Update changes the weights of a block and the state by the block's gradient g, which
	// stays as it is. s.Updates() counts the step under way.
	Update func(s *State, u Step, b *param.Block, g []float32)
	// Momenta says that the first slot has an element a weight and is, of matrices, a sum of
	// gradients, and that vectors can start afresh by themselves: such state follows a change of
	// basis (CrossBasis), other state begins anew.
	Momenta bool
}

var rules = map[string]Rule{}

// Register adds an optimizer under the name that optim.name gives. It panics when the
// name is taken.
func Register(name string, r Rule) {
	if _, ok := rules[name]; ok {
		panic("optim: optimizer " + name + " is registered twice")
	}
	rules[name] = r
}

// Names lists the optimizers, sorted.
func Names() []string { return sorted(rules) }

// New makes the optimizer that a valid configuration names, with zero state.
func New(set *param.Set, c Config) Interface {
	return NewPart(set, c, Part{0, len(set.Blocks)})
}

// NewPart is New for some blocks of the set only: they alone are updated.
func NewPart(set *param.Set, c Config, part Part) Interface {
	s := &State{Config: c, part: part, rule: c.rule()}
	for _, b := range s.Blocks(set) {
		s.weights += b.Size()
	}
	for _, x := range s.rule.Slots(set, c) {
		lo, hi := x.Span(set, part)
		s.slabs = append(s.slabs, NamedSlab{x, param.NewSlab(hi - lo)})
	}
	return s
}

// StateBytes is the bytes of state that an optimizer keeps for the set, which needs no
// storage. It takes no memory.
func StateBytes(set *param.Set, c Config) int64 {
	n := int64(0)
	for _, s := range c.rule().Slots(set, c) {
		n += 4 * int64(s.Layout.Len())
	}
	return n
}

func (c Config) rule() Rule {
	r, err := lookup(rules, "name", c.Name)
	if err != nil {
		panic("optim: New with a Config that was not validated")
	}
	return r
}

// lookup finds a name that a key of the optim section gives.
func lookup[T any](in map[string]T, key, name string) (T, error) {
	v, ok := in[name]
	if !ok {
		return v, fmt.Errorf("optim.%s is %q, expected one of %s", key, name, strings.Join(sorted(in), ", "))
	}
	return v, nil
}

func sorted[T any](in map[string]T) []string {
	var names []string
	for n := range in {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
