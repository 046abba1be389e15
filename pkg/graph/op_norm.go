package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// LayerNorm normalises rows of x [N, E] with the block [gain E | bias E], or with [gain E]
// alone: (N, E).
func (b *Builder) LayerNorm(x, gainBias *Node, eps float32) *Node {
	return b.Apply(layerNorm(eps), x, gainBias)
}

// RMSNorm is the settings of a norm: see kernel.RMSNorm.
type RMSNorm = kernel.RMSNorm

// RMSNorm normalises rows of x [N, E] with gain [E]: (N, E).
func (b *Builder) RMSNorm(x, gain *Node, o RMSNorm) *Node { return b.Apply(rmsNorm(o), x, gain) }

// layerNorm is y = (x - mean)·rstd·gain + bias over each row; operands x [N, E]
// and the block [gain E | bias E], or [gain E] without a bias. It saves mean [N] and rstd [N].
func layerNorm(eps float32) *Op {
	return &Op{
		Name: fmt.Sprintf("LayerNorm(%g)", eps),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if _, e := MatrixShape(in[0]); in[1].TotalSize() != 2*e && in[1].TotalSize() != e {
				return nil, fmt.Errorf("gain and bias have %d values, expected %d, or %d without a bias", in[1].TotalSize(), 2*e, e)
			}
			return in[0].Clone(), nil
		},
		Run: func(c *Call) {
			gain, bias := gainAndBias(c.In[1].F, c.Cols)
			kernel.LayerNormForward(c.Pool, c.out(), c.Saved[0], c.Saved[1], c.In[0].F, gain, bias, c.Rows, c.Cols, eps)
		},
		Saves:  func(in []tensor.Shape) []int { n, _ := MatrixShape(in[0]); return []int{n, n} },
		Narrow: CanRound,
		Light:  true,
		Backward: func(in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			return normBackward(layerNormBackward(), layerNormGrad(), in, y, dy)
		},
		ONNX: func(x *ONNX) string {
			p := []string{x.In(1)}
			if x.Cols(1) > x.Cols(0) {
				p = x.Parts(1, 2)
			}
			return x.Node("LayerNormalization", append([]string{x.In(0)}, p...), Attr("axis", -1), Attr("epsilon", eps))
		},
	}
}

// gainAndBias are the two halves of a block, of which the second may be missing: nil.
func gainAndBias(block []float32, e int) (gain, bias []float32) {
	if len(block) == e {
		return block, nil
	}
	return block[:e], block[e:]
}

// normBackward makes the gradients of a norm's operands, x and its parameters, by
// operations of dy, x, the norm's own node and its parameters: they read the row
// statistics that the node saved, not its output.
func normBackward(dx, dp *Op, in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
	p, err := Apply(dp, dy, in[0], y, in[1])
	if err != nil {
		return nil, err
	}
	x, err := Apply(dx, dy, in[0], y, in[1])
	return gorgonia.Nodes{x, p}, err
}

func layerNormBackward() *Op {
	return &Op{
		Name:  "LayerNormBackward",
		Shape: sameShape(0),
		Run: func(c *Call) {
			s := c.In[2].Saved
			kernel.LayerNormBackward(c.Pool, c.Out, c.In[0].F, c.In[1].F, c.In[3].F[:c.Cols], s[0], s[1], c.Rows, c.Cols)
		},
		SavedOf:    []int{2},
		Unread:     []int{2},
		Overwrites: []int{0},
	}
}

func layerNormGrad() *Op {
	return &Op{
		Name:  "LayerNormGrad",
		Shape: sameShape(3),
		Run: func(c *Call) {
			dy, s := c.In[0], c.In[2].Saved
			gain, bias := gainAndBias(c.Out, dy.Cols)
			kernel.LayerNormGrad(c.Pool, gain, bias, dy.F, c.In[1].F, s[0], s[1], dy.Rows, dy.Cols)
		},
		SavedOf: []int{2},
		Unread:  []int{2},
		Adds:    AlwaysAdds,
	}
}

// rmsNorm is y = x·rstd·gain over each row (https://arxiv.org/abs/1910.07467);
// operands x [N, E] and gain [E]. It saves rstd [N].
func rmsNorm(o RMSNorm) *Op {
	return &Op{
		Name: "RMSNorm(" + rmsName(o) + ")",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if _, e := MatrixShape(in[0]); in[1].TotalSize() != e {
				return nil, fmt.Errorf("gain has %d values, expected %d", in[1].TotalSize(), e)
			}
			return in[0].Clone(), nil
		},
		Run: func(c *Call) {
			kernel.RMSNormForward(c.Pool, c.out(), c.Saved[0], c.In[0].F, c.In[1].F, c.Rows, c.Cols, o)
		},
		Saves:  func(in []tensor.Shape) []int { n, _ := MatrixShape(in[0]); return []int{n} },
		Narrow: CanRound,
		Light:  true,
		Backward: func(in gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			return normBackward(rmsNormBackward(o), rmsNormGrad(), in, y, dy)
		},
		ONNX: func(x *ONNX) string {
			v, gain := x.In(0), x.In(1)
			mean := x.Node("ReduceMean", []string{x.Mul(v, v)}, Attr("axes", []int64{-1}), Attr("keepdims", 1))
			if o.PlusOne {
				gain = x.Add(gain, x.Number(1))
			}
			return x.Mul(x.Div(v, x.Node("Sqrt", []string{x.Add(mean, x.Number(float64(o.Eps)))})), gain)
		},
	}
}

func rmsName(o RMSNorm) string {
	name := fmt.Sprintf("%g", o.Eps)
	if o.PlusOne {
		name += " gain plus one"
	}
	return name
}

func rmsNormBackward(o RMSNorm) *Op {
	return &Op{
		Name:  "RMSNormBackward(" + rmsName(o) + ")",
		Shape: sameShape(0),
		Run: func(c *Call) {
			kernel.RMSNormBackward(c.Pool, c.Out, c.In[0].F, c.In[1].F, c.In[3].F, c.In[2].Saved[0], c.Rows, c.Cols, o)
		},
		SavedOf:    []int{2},
		Unread:     []int{2},
		Overwrites: []int{0},
	}
}

func rmsNormGrad() *Op {
	return &Op{
		Name:  "RMSNormGrad",
		Shape: sameShape(3),
		Run: func(c *Call) {
			dy := c.In[0]
			kernel.RMSNormGrad(c.Pool, c.Out, dy.F, c.In[1].F, c.In[2].Saved[0], dy.Rows, dy.Cols)
		},
		SavedOf: []int{2},
		Unread:  []int{2},
		Adds:    AlwaysAdds,
	}
}
