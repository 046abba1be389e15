package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// VectorShape says how texts become vectors: see kernel.VectorShape.
type VectorShape = kernel.VectorShape

// VectorLoss is scale times the summed distance of texts' vectors, made of their hidden
// states x [B·T, E], from the input vectors [B, E]: see kernel.VectorLoss. starts is nil or
// [B·T], targets [B] (negative: ignored). It adds the outputs "loss" and "nll" (of each
// text, [B]).
func (b *Builder) VectorLoss(x, starts, vectors, targets, scale *Node, s VectorShape) *Node {
	in := []*Node{x, vectors, targets, scale}
	if starts != nil {
		in = append(in, starts)
	}
	loss := b.Apply(vectorLoss(s, len(in)), in...)
	if b.err != nil {
		return nil
	}
	b.Output("nll", b.Apply(headPart(0, tensor.Shape{s.B}), loss))
	return b.addLoss(loss)
}

// vectorLoss is the value; it saves the texts' distances [B] and the gradients of them by
// a token [B, E].
func vectorLoss(s VectorShape, operands int) *Op {
	op := &Op{
		Name: fmt.Sprintf("VectorLoss(B %d T %d first %t)", s.B, s.T, s.First),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			if n != s.B*s.T || e != s.E || in[1].TotalSize() != s.B*e || in[2].TotalSize() != s.B || in[3].TotalSize() != 1 {
				return nil, fmt.Errorf("x is %v, vectors %v, targets %v, scale %v: expected %d texts of %d tokens of %d columns", in[0], in[1], in[2], in[3], s.B, s.T, s.E)
			}
			return tensor.ScalarShape(), nil
		},
		Saves: func([]tensor.Shape) []int { return []int{s.B, s.B * s.E} },
		Run: func(c *Call) {
			kernel.VectorLoss(c.Pool, c.Saved[0], c.Saved[1], c.In[0].F, c.In[1].F, startsOf(c.In, 4), s)
			sum := 0.0
			for i, x := range c.Saved[0] {
				if c.In[2].IDs[i] >= 0 {
					sum += float64(x)
				}
			}
			c.Out[0] = float32(sum) * c.In[3].F[0]
		},
		NoGradient: []int{1, 2, 3},
		Backward: func(in gorgonia.Nodes, loss, dloss *Node) (gorgonia.Nodes, error) {
			of := append(gorgonia.Nodes{dloss, in[0], loss}, in[2:]...)
			dx, err := Apply(vectorLossBackward(s), of...)
			return append(gorgonia.Nodes{dx}, make(gorgonia.Nodes, len(in)-1)...), err
		},
	}
	if operands > 4 {
		op.NoGradient = append(op.NoGradient, 4)
	}
	return op
}

// vectorLossBackward is dx; operands dloss, x, the loss that saved, targets, scale, and
// starts where there are any.
func vectorLossBackward(s VectorShape) *Op {
	return &Op{
		Name:    fmt.Sprintf("VectorLossBackward(B %d T %d first %t)", s.B, s.T, s.First),
		Shape:   sameShape(1),
		SavedOf: []int{2},
		Unread:  []int{1, 2},
		Run: func(c *Call) {
			kernel.VectorLossBackward(c.Pool, c.Out, c.In[2].Saved[1], startsOf(c.In, 5), c.In[3].IDs, c.In[0].F[0]*c.In[4].F[0], s)
		},
	}
}

// startsOf is an operand of integers that may not be there.
func startsOf(in []Operand, i int) []int32 {
	if i < len(in) {
		return in[i].IDs
	}
	return nil
}
