package graph

import (
	"fmt"
	"strings"
)

// Recompute says which values of the forward pass are dropped and computed
// again in the backward pass: less memory for more time. The results have the
// same bits.
//
// For a LLaMA layer (width E, F = 8E/3, N rows) the forward pass keeps about
// 15·N·E values; the three levels leave 10, 7 and 1 of them. They cost 1 %, 9 %
// and 24 % of a step's time (BenchmarkStep's graph with 4 layers and a vocabulary
// of 4000; two cores with AVX-512, medians of 20 runs in turn).
type Recompute uint8

const (
	// KeepAll recomputes nothing.
	KeepAll Recompute = iota
	// RecomputeLight recomputes norms and activation functions: no products.
	RecomputeLight
	// RecomputeAttention recomputes Checkpoints of this level as well, by
	// convention from a layer's first norm to its attention's output projection:
	// the product for q, k, v and attention run once more.
	RecomputeAttention
	// RecomputeLayer recomputes Checkpoints of this level, by convention a layer
	// each: one more forward pass of all but the head.
	RecomputeLayer
)

var recomputeNames = []string{"none", "light", "attention", "layer"}

// String is the level's name.
func (r Recompute) String() string { return recomputeNames[r] }

// ParseRecompute is the level of a name; the error lists the valid ones.
func ParseRecompute(name string) (Recompute, error) {
	for i, n := range recomputeNames {
		if n == name {
			return Recompute(i), nil
		}
	}
	return KeepAll, fmt.Errorf("recompute is %q, expected one of %s", name, strings.Join(recomputeNames, ", "))
}

// scope is one checkpoint.
type scope struct{ level Recompute }

// Checkpoint begins a checkpoint, which lasts until end is called: what is added
// in between is computed again in the backward pass when the graph is lowered with
// LowerOptions.Recompute of this level or a higher one. What operations outside
// read is kept. Checkpoints may hold others of a lower level.
//
//	end := b.Checkpoint(graph.RecomputeLayer)
//	x = b.LinearIn(b.GELU(b.Linear(x, in, nil), true), out, nil, x)
//	end()
func (b *Builder) Checkpoint(level Recompute) (end func()) {
	s := &scope{level}
	b.scopes = append(b.scopes, s)
	return func() {
		if n := len(b.scopes) - 1; n < 0 || b.scopes[n] != s {
			b.Fail(fmt.Errorf("graph: a checkpoint of level %s ends out of order", level))
		} else {
			b.scopes = b.scopes[:n]
		}
	}
}

// checkScopes reports checkpoints that were not ended, and a level that would
// do no more than the one below.
func (b *Builder) checkScopes(r Recompute) error {
	if n := len(b.scopes); n > 0 {
		return fmt.Errorf("graph: %d checkpoints were not ended", n)
	}
	if r <= RecomputeLight {
		return nil
	}
	for _, scopes := range b.scoped {
		for _, s := range scopes {
			if s.level == r {
				return nil
			}
		}
	}
	return fmt.Errorf("graph: recompute %s: the graph has no checkpoints of that level", r)
}

// recompute gives the backward pass copies of the steps that are dropped, each
// right before its first reader.
func (l *lowering) recompute() {
	if l.o.Recompute == KeepAll {
		return
	}
	again := map[*step]*step{}
	order, dropped := l.order, l.dropped()
	l.order = nil
	var redo func(s *step) *step
	redo = func(s *step) *step {
		if !dropped[s] {
			return s
		}
		if c := again[s]; c != nil {
			return c
		}
		c := &step{node: s.node, op: s.op, phase: Recomputed}
		again[s] = c
		for _, o := range s.in {
			c.in = append(c.in, redo(o))
		}
		l.order = append(l.order, c)
		return c
	}
	for _, s := range order {
		if s.phase == Backward {
			for i, o := range s.in {
				if !has(s.op.Unread, i) { // else it reads what the operand saved, which is small
					s.in[i] = redo(o)
				}
			}
		}
		l.order = append(l.order, s)
	}
	l.countUses()
}

// dropped is the steps of the forward pass whose values are not kept: light
// ones, and those of a checkpoint that no step outside of it reads.
func (l *lowering) dropped() map[*step]bool {
	inside := map[*step]*scope{}
	for _, s := range l.order {
		for _, sc := range l.b.scoped[s.node] {
			if sc.level <= l.o.Recompute {
				inside[s] = sc
				break
			}
		}
	}
	leaves := map[*step]bool{} // its value leaves the checkpoint
	for _, s := range l.order {
		for _, o := range s.in {
			if s.phase == Forward && inside[s] != inside[o] {
				leaves[o] = true
			}
		}
	}
	out := map[*step]bool{}
	for _, s := range l.order {
		once := len(s.op.Deposits) > 0 // it adds gradients
		out[s] = s.phase == Forward && !once && (s.op.Light || inside[s] != nil && !leaves[s])
	}
	for _, o := range l.outputs {
		out[o.step] = false
	}
	return out
}
