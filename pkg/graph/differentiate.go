package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/ecospa/ecospa/pkg/param"
)

// backward is what differentiation adds to a graph, once.
type backward struct {
	first int64   // ID of the first node of the backward pass
	of    [2]bool // gradients of the parameters, of the adapters
	terms []term  // of the gradients of the parameters
}

// term is a node whose value is to be added to a block's gradient.
type term struct {
	node *Node
	of   paramLeaf
}

var errNoLoss = errors.New("graph: gradients need a loss in a graph built to train")

// differentiate derives the gradients of the output "loss" with respect to all
// parameters of the wanted sets (the first, the adapters) that it depends on.
func (b *Builder) differentiate(of [2]bool) (*backward, error) {
	if d := b.diff; d != nil {
		if d.of != of {
			return nil, errors.New("graph: the graph was lowered with gradients of other parameters before")
		}
		return d, nil
	}
	loss := b.loss
	if loss == nil || !b.o.Train && !b.o.Gates {
		return nil, errNoLoss
	}
	d := &backward{first: nextID(b.g), of: of}
	var leaves []paramLeaf
	var wrt []*Node
	used := map[*Node]bool{}
	ancestors(b.g, loss, used)
	for i, set := range []*param.Set{b.set, b.more} {
		if set == nil || !of[i] {
			continue
		}
		for _, bl := range set.Blocks {
			if p, ok := b.params[bl.Name]; ok && used[p.node] {
				leaves, wrt = append(leaves, p), append(wrt, p.node)
			}
		}
	}
	if len(wrt) == 0 {
		return nil, errors.New("graph: the loss depends on no parameter")
	}
	grads, err := gorgonia.Grad(loss, wrt...)
	if err != nil {
		return nil, fmt.Errorf("graph: differentiate: %w", err)
	}
	if b.o.Gates {
		b.diff = d // the gradients of parameters are in the graph, but nothing needs them
		return d, nil
	}
	for i, g := range grads {
		if bl := leaves[i].block; g.Shape().TotalSize() != bl.Size() {
			return nil, fmt.Errorf("graph: gradient of %s has shape %v, expected %d values", bl.Name, g.Shape(), bl.Size())
		}
		for _, n := range dissolve(b.g, g) {
			d.terms = append(d.terms, term{n, leaves[i]})
		}
	}
	b.diff = d
	return d, nil
}

// ancestors marks n and everything that it is computed from.
func ancestors(g *gorgonia.ExprGraph, n *Node, seen map[*Node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	for _, o := range operands(g, n) {
		ancestors(g, o, seen)
	}
}

// dissolve lists the terms of a sum that Gorgonia built over a parameter's
// gradients (tied matrices have several), so that each is added to the slab by
// itself.
func dissolve(g *gorgonia.ExprGraph, n *Node) []*Node {
	in := operands(g, n)
	if isSum(n, in) {
		return append(dissolve(g, in[0]), dissolve(g, in[1])...)
	}
	return []*Node{n}
}

// gates makes the outputs of the taps, each a gateDot of a value and its gradient.
func (b *Builder) gates() ([]output, error) {
	var out []output
	for _, t := range b.taps {
		d := t.node.Deriv()
		if d == nil {
			return nil, fmt.Errorf("graph: tap %s: the loss does not depend on it", t.dim)
		}
		in := []*Node{t.node, d}
		if t.from != nil {
			in = append(in, t.from)
		}
		r, err := Apply(t.op, in...)
		if err != nil {
			return nil, fmt.Errorf("tap %s: %w", t.dim, err)
		}
		out = append(out, output{"gate:" + t.dim, r})
	}
	return out, nil
}
