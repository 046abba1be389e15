package graph

import (
	"gorgonia.org/gorgonia"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// Values that only products of bfloat16 read are stored as that, rounded where they are made instead
// of where they are read: norms' outputs, gradients on their way into a product. In graphs
// that train, values that are kept for the backward pass are rounded besides: what a
// product makes for attention or an activation function (Builder.Kept), and what these
// make. The residual stream, the gradients, sums and statistics stay float32.
//
// Which values are rounded is the graph's affair. How a machine stores them changes no bit of its
// results: a value that an observer is shown, say, is rounded and stored as float32.

// rounds reports whether values that are kept for the backward pass are rounded.
func (b *Builder) rounds() bool { return b.o.BF16 && b.o.Train }

// rounded is the operation with its output rounded to bfloat16 where the graph's values are.
func (b *Builder) rounded(op *Op) *Op {
	if b.rounds() {
		op.Name, op.Narrow = op.Name+" bf16", Rounded
	}
	return op
}

// Kept is x as it is kept for the backward pass: in a graph built to train with products
// of bfloat16, rounded to that; else x. Its gradient is that of x. It is for what a product
// makes for other operations than a sum with the residual stream.
func (b *Builder) Kept(x *Node) *Node {
	if b.err != nil || !b.rounds() {
		return x
	}
	return b.Apply(roundBF16(), x)
}

// roundBF16 is x rounded to bfloat16.
func roundBF16() *Op {
	return &Op{
		Name:       "RoundBF16",
		Shape:      sameShape(0),
		Run:        func(c *Call) { kernel.RoundBF16(c.Pool, c.out(), c.In[0].F) },
		Overwrites: []int{0},
		Narrow:     Rounded,
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			return gorgonia.Nodes{dy}, nil
		},
	}
}

// reader is a step that reads a value, as its operand number `operand`.
type reader struct {
	*step
	operand int
}

// narrow decides which values are stored as bfloat16.
func (l *lowering) narrow() {
	if l.o.wide {
		return
	}
	readers, kept := map[*step][]reader{}, map[*step]bool{}
	for _, s := range l.order {
		for k, o := range s.in {
			readers[o] = append(readers[o], reader{s, k})
		}
	}
	for _, o := range l.outputs {
		kept[o.step] = true
	}
	for _, s := range l.order {
		s.bf16 = s.op.Narrow != Float32 && s.op.View.Kind == NoView && len(s.terms) == 0 && !kept[s]
		for _, r := range readers[s] {
			s.bf16 = s.bf16 && l.takesBF16(r, s.op.Narrow)
		}
	}
}

// takesBF16 reports whether a step may read an operand as bfloat16: one that is rounded in
// any case, or that it rounds itself.
func (l *lowering) takesBF16(r reader, n Narrow) bool {
	if has(r.op.Unread, r.operand) || r.operand == 0 && r.op.View.Kind == SavedPart {
		return true // it does not read it
	}
	if n == Rounded {
		return has(r.op.ReadsBF16, r.operand)
	}
	for _, o := range r.in { // products with weights of eight bits are of float32
		if p, ok := l.b.params[o.node.Name()]; ok && p.node == o.node && p.block.DType() == param.Q8 {
			return false
		}
	}
	return has(r.op.Rounds, r.operand)
}
