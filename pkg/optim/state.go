package optim

import (
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// State is an optimizer of any registered Rule: its configuration, slabs and step count.
type State struct {
	Config
	rule    Rule
	part    Part
	slabs   []NamedSlab
	updates int
	weights int // elements that are updated

	wide []float32 // weights of a block that is bfloat16, piece by piece; see edit
	apolloWork
}

// Slabs is the state, in the order of the rule's Slots.
func (s *State) Slabs() []NamedSlab { return s.slabs }

// Updates is the number of steps made so far, with the one under way.
func (s *State) Updates() int { return s.updates }

// SetUpdates restores the number of steps.
func (s *State) SetUpdates(n int) { s.updates = n }

// Update makes one step by the rule.
func (s *State) Update(u Step) {
	s.Begin()
	for _, b := range s.Blocks(u.Set) {
		g := b.In(u.Grads)
		s.UpdateBlock(u, b, g)
		if !u.stale(b) {
			clear(g)
		}
	}
}

// Begin begins a step that is made block by block.
func (s *State) Begin() { s.updates++ }

// UpdateBlock makes the part of a step that concerns a block.
func (s *State) UpdateBlock(u Step, b *param.Block, g []float32) { s.rule.Update(s, u, b, g) }

// BytesPerParam is the bytes of state a weight.
func (s *State) BytesPerParam() float64 {
	n := 0
	for _, x := range s.slabs {
		n += len(x.Slab.Data)
	}
	return 4 * float64(n) / float64(max(1, s.weights))
}

// Blocks is the blocks that the optimizer updates: of all of them, those that are left where
// whole layers are gone.
func (s *State) Blocks(set *param.Set) []*param.Block {
	return set.Blocks[s.part.Lo:min(s.part.Hi, len(set.Blocks))]
}

// Of is what slab i holds for a block; nil when its layout does not have the block.
func (s *State) Of(set *param.Set, i int, block string) []float32 {
	x := s.slabs[i]
	b := x.Layout.Block(block)
	if b == nil {
		return nil
	}
	base, _ := x.Span(set, s.part)
	at := b.Offset - base
	return x.Slab.Data[at : at+b.Size() : at+b.Size()]
}

// GradScale is what gradients of a global norm are multiplied by, so that it is at most Clip.
func (s *State) GradScale(norm float64) float32 {
	if s.Clip > 0 && norm > s.Clip {
		return float32(s.Clip / norm)
	}
	return 1
}

// GradNorm is the global L2 norm of the gradients.
func GradNorm(p *kernel.Pool, grads *param.Slab) float64 {
	return math.Sqrt(kernel.SumSquares(p, grads.Data))
}

// Reset forgets all that an optimizer has seen.
func Reset(o Interface) {
	for _, s := range o.Slabs() {
		clear(s.Slab.Data)
	}
	o.SetUpdates(0)
}

// Close releases an optimizer's state.
func Close(o Interface) {
	for _, s := range o.Slabs() {
		s.Slab.Close()
	}
}
