package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Rows takes row `row` of every `of` rows of x [N, E], a class token or the last
// token of each sequence: (N/of, E).
func (b *Builder) Rows(x *Node, of, row int) *Node { return b.Apply(selectRow(of, row), x) }

// Prepend puts the rows of the block rows [K, E] (class and distillation tokens)
// before the T rows of every sequence of x [B·T, E]: (B·(K+T), E).
func (b *Builder) Prepend(x, rows *Node, t int) *Node { return b.Apply(prepend(t), x, rows) }

// selectRow is Builder.Rows.
func selectRow(of, row int) *Op {
	return &Op{
		Name: fmt.Sprintf("Rows(T %d at %d)", of, row),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			if of <= 0 || n%of != 0 || row < 0 || row >= of {
				return nil, fmt.Errorf("%d rows have no row %d of sequences of %d", n, row, of)
			}
			return tensor.Shape{n / of, e}, nil
		},
		Run: func(c *Call) { kernel.SelectRow(c.Pool, c.Out, c.In[0].F, c.Rows, of, c.Cols, row) },
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := Apply(selectRowBackward(of, row), dy)
			return gorgonia.Nodes{dx}, err
		},
		ONNX: func(x *ONNX) string {
			at := row
			if x.anyLength(of) {
				at -= of // from the end
			}
			return x.Node("Gather", []string{x.Split3(x.In(0), of, x.Cols(0)), x.scalar(int64(at))}, Attr("axis", 1))
		},
	}
}

func selectRowBackward(of, row int) *Op {
	return &Op{
		Name: fmt.Sprintf("RowsBackward(T %d at %d)", of, row),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			return tensor.Shape{n * of, e}, nil
		},
		Run: func(c *Call) { kernel.SelectRowBackward(c.Pool, c.Out, c.In[0].F, c.Rows/of, of, c.Cols, row) },
	}
}

// prepend is Builder.Prepend; operands x [B·T, E] and rows [K, E].
func prepend(t int) *Op {
	return &Op{
		Name: fmt.Sprintf("Prepend(T %d)", t),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			k, w := MatrixShape(in[1])
			if t <= 0 || n%t != 0 || w != e {
				return nil, fmt.Errorf("x has %d rows of %d, expected sequences of %d rows of %d", n, e, t, w)
			}
			return tensor.Shape{n + n/t*k, e}, nil
		},
		Run: func(c *Call) {
			x, k := c.In[0], c.In[1].Rows
			kernel.Prepend(c.Pool, c.Out, x.F, c.In[1].F, x.Rows/t, k, t, c.Cols)
		},
		Backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			k, _ := MatrixShape(in[1].Shape())
			dx, err := Apply(prependBackward(t, k), dy)
			if err != nil {
				return nil, err
			}
			dr, err := Apply(prependGrad(t), dy, in[1])
			return gorgonia.Nodes{dx, dr}, err
		},
		ONNX: func(x *ONNX) string {
			e := int64(x.Cols(0))
			v := x.Split3(x.In(0), t, x.Cols(0))                                                      // (B, T, E)
			b := x.Node("Gather", []string{x.Node("Shape", []string{v}), x.Ints(0)}, Attr("axis", 0)) // [B]
			front := x.Reshape(x.In(1), 1, -1, e)
			shape := x.Node("Concat", []string{b, x.Ints(1, 1)}, Attr("axis", 0))
			front = x.Node("Expand", []string{front, shape})
			return x.Reshape(x.Node("Concat", []string{front, v}, Attr("axis", 1)), -1, e)
		},
	}
}

// prependBackward is dx of prepend with k rows.
func prependBackward(t, k int) *Op {
	return &Op{
		Name: fmt.Sprintf("PrependBackward(T %d K %d)", t, k),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			return tensor.Shape{n / (t + k) * t, e}, nil
		},
		Run: func(c *Call) { kernel.PrependBackward(c.Pool, c.Out, c.In[0].F, c.Rows/t, k, t, c.Cols) },
	}
}

// prependGrad is the gradient of the rows; operands dy and the rows.
func prependGrad(t int) *Op {
	return &Op{
		Name:  fmt.Sprintf("PrependGrad(T %d)", t),
		Shape: sameShape(1),
		Run: func(c *Call) {
			dy := c.In[0]
			kernel.PrependGrad(c.Pool, c.Out, dy.F, dy.Rows/(c.Rows+t), c.Rows, t, c.Cols)
		},
		Adds: AlwaysAdds,
	}
}
