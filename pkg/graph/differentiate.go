package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/ecospa/ecospa/pkg/param"
)

// backward is what differentiation adds to a graph, once.
type backward struct {
	first int64  // ID of the first node of the backward pass
	terms []term // of the gradients of the parameters
}

// term is a node whose value is to be added to a block's gradient.
type term struct {
	node  *Node
	block *param.Block
}

var errNoLoss = errors.New("graph: gradients need an output named loss in a graph built to train")

// differentiate derives the gradients of the output "loss" with respect to all
// parameters in the graph.
func (b *Builder) differentiate() (*backward, error) {
	if b.diff != nil {
		return b.diff, nil
	}
	var loss *Node
	for _, out := range b.outputs {
		if out.name == "loss" {
			loss = out.node
		}
	}
	if loss == nil || !b.train || b.set == nil {
		return nil, errNoLoss
	}
	d := &backward{first: nextID(b.g)}
	var blocks []*param.Block
	var wrt []*Node
	for _, bl := range b.set.Blocks {
		if n, ok := b.params[bl.Name]; ok {
			blocks, wrt = append(blocks, bl), append(wrt, n)
		}
	}
	grads, err := gorgonia.Grad(loss, wrt...)
	if err != nil {
		return nil, fmt.Errorf("graph: differentiate: %w", err)
	}
	for i, g := range grads {
		if g.Shape().TotalSize() != blocks[i].Size() {
			return nil, fmt.Errorf("graph: gradient of %s has shape %v, expected %d values", blocks[i].Name, g.Shape(), blocks[i].Size())
		}
		for _, n := range dissolve(b.g, g) {
			d.terms = append(d.terms, term{n, blocks[i]})
		}
	}
	b.diff = d
	return d, nil
}

// dissolve lists the terms of a sum that Gorgonia built over a parameter's
// gradients (tied matrices have several), so that each is added to the slab by
// itself.
func dissolve(g *gorgonia.ExprGraph, n *Node) []*Node {
	in := operands(g, n)
	if isStockAdd(n, in) {
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
		r, err := apply(gateDot{t.b, t.col0, t.units, t.width}, t.node, d)
		if err != nil {
			return nil, fmt.Errorf("tap %s: %w", t.dim, err)
		}
		out = append(out, output{"gate:" + t.dim, r})
	}
	return out, nil
}
