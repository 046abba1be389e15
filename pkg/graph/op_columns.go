package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// ScaleColumns multiplies every row of x [N, E] by gain [E], value by value: (N, E).
func (b *Builder) ScaleColumns(x, gain *Node) *Node { return b.Apply(scaleColumns(), x, gain) }

// ClassMean puts the first of every t rows of x [N, E] beside the mean of the others: (N/t, 2E).
func (b *Builder) ClassMean(x *Node, t int) *Node { return b.Apply(classMean(t), x) }

// scaleColumns is Builder.ScaleColumns.
func scaleColumns() *Op {
	return &Op{
		Name: "ScaleColumns",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if _, e := MatrixShape(in[0]); in[1].TotalSize() != e {
				return nil, fmt.Errorf("gain has %d values, expected %d", in[1].TotalSize(), e)
			}
			return in[0].Clone(), nil
		},
		Run:   func(c *Call) { kernel.ScaleColumns(c.Pool, c.Out, c.In[0].F, c.In[1].F, c.Rows, c.Cols) },
		Light: true,
		Backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dgain, err := Apply(scaleColumnsGrad(), dy, in[0], in[1])
			if err != nil {
				return nil, err
			}
			dx, err := Apply(scaleColumns(), dy, in[1])
			return gorgonia.Nodes{dx, dgain}, err
		},
		ONNX: func(x *ONNX) string { return x.Mul(x.In(0), x.In(1)) },
	}
}

// scaleColumnsGrad is the gradient of gain; operands dy, x and gain.
func scaleColumnsGrad() *Op {
	return &Op{
		Name:  "ScaleColumnsGrad",
		Shape: sameShape(2),
		Run: func(c *Call) {
			dy := c.In[0]
			kernel.ScaleColumnsGrad(c.Pool, c.Out, dy.F, c.In[1].F, dy.Rows, dy.Cols)
		},
		Adds: AlwaysAdds,
	}
}

// classMean is Builder.ClassMean.
func classMean(t int) *Op {
	return &Op{
		Name: fmt.Sprintf("ClassMean(T %d)", t),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			if t < 2 || n%t != 0 {
				return nil, fmt.Errorf("x has %d rows, expected sequences of %d, at least 2", n, t)
			}
			return tensor.Shape{n / t, 2 * e}, nil
		},
		Run: func(c *Call) {
			x := c.In[0]
			kernel.ClassMean(c.Pool, c.Out, x.F, x.Rows/t, t, x.Cols)
		},
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := Apply(classMeanBackward(t), dy)
			return gorgonia.Nodes{dx}, err
		},
		ONNX: func(x *ONNX) string {
			e := int64(x.Cols(0))
			tokens := x.Transpose(x.Split3(x.In(0), t, x.Cols(0)), 0, 2, 1) // (B, E, T)
			part := x.Sizes(tokens, 1, int64(t-1))
			mean := x.Node("ReduceMean", []string{part[1]}, Attr("axes", []int64{-1}), Attr("keepdims", 1))
			return x.Reshape(x.Node("Concat", []string{part[0], mean}, Attr("axis", 1)), -1, 2*e) // (B, 2E, 1)
		},
	}
}

// classMeanBackward is dx of classMean.
func classMeanBackward(t int) *Op {
	return &Op{
		Name: fmt.Sprintf("ClassMeanBackward(T %d)", t),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			return tensor.Shape{n * t, e / 2}, nil
		},
		Run: func(c *Call) {
			dy := c.In[0]
			kernel.ClassMeanBackward(c.Pool, c.Out, dy.F, dy.Rows, t, dy.Cols/2)
		},
	}
}
