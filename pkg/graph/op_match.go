package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// MatchLoss adds weight·(‖x - target‖² / ‖target‖²) to the output "loss": the relative
// error of x [N, E] against what another model has in its place, the input target
// [N, E]. weight is a scalar input. x has a gradient, the others have none.
func (b *Builder) MatchLoss(x, target, weight *Node) *Node {
	loss := b.Apply(match(), x, target, weight)
	if b.err != nil {
		return nil
	}
	return b.addLoss(loss)
}

// match is the value; it saves ‖target‖².
func match() *Op {
	return &Op{
		Name: "Match",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if !in[0].Eq(in[1]) || in[2].TotalSize() != 1 {
				return nil, fmt.Errorf("x is %v, target %v, weight %v: expected two of one shape and a number", in[0], in[1], in[2])
			}
			return tensor.ScalarShape(), nil
		},
		Saves:   func([]tensor.Shape) []int { return []int{1} },
		Scratch: func(in []tensor.Shape) int { return in[0].TotalSize() },
		Run: func(c *Call) {
			ratio, size := kernel.MatchError(c.Pool, c.Scratch, c.In[0].F, c.In[1].F)
			c.Out[0], c.Saved[0][0] = float32(ratio)*c.In[2].F[0], float32(size)
		},
		NoGradient: []int{1, 2},
		Backward: func(in gorgonia.Nodes, loss, dloss *Node) (gorgonia.Nodes, error) {
			dx, err := Apply(matchBackward(), dloss, in[0], in[1], in[2], loss)
			return gorgonia.Nodes{dx, nil, nil}, err
		},
	}
}

// matchBackward is dx; operands dloss, x, target, weight and the loss that saved.
func matchBackward() *Op {
	return &Op{
		Name:    "MatchBackward",
		Shape:   sameShape(1),
		SavedOf: []int{4},
		Unread:  []int{4},
		Run: func(c *Call) {
			f := float32(0)
			if size := c.In[4].Saved[0][0]; size > 0 {
				f = 2 * c.In[0].F[0] * c.In[3].F[0] / size
			}
			kernel.MatchGradient(c.Pool, c.Out, c.In[1].F, c.In[2].F, f)
		},
	}
}
