package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Embed looks up ids [N] in table [V, E]: (N, E).
func (b *Builder) Embed(ids, table *Node) *Node { return b.Apply(embed(), ids, table) }

// AddRows adds learned positions pos [P, E], P >= T, to x [B·T, E]: (B·T, E).
func (b *Builder) AddRows(x, pos *Node, t int) *Node { return b.Apply(addRows(t), x, pos) }

// AddRowsAt adds learned positions rows [P, E] to x [N, E] at given positions, integers
// [N] below P: (N, E).
func (b *Builder) AddRowsAt(x, rows, pos *Node) *Node { return b.Apply(addRowsAt(), x, rows, pos) }

// embed is y[n] = table[ids[n]]; operands ids [N] and table [V, E].
func embed() *Op {
	return &Op{
		Name: "Embed",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			_, e := MatrixShape(in[1])
			return tensor.Shape{in[0].TotalSize(), e}, nil
		},
		Run: func(c *Call) {
			t := c.In[1]
			if t.F != nil {
				kernel.EmbedForward(c.Pool, c.Out, t.F, c.In[0].IDs, c.Cols)
				return
			}
			kernel.EmbedWeights(c.Pool, c.Out, t.weights(), c.In[0].IDs, t.Rows, t.Cols)
		},
		Stored:     []int{1},
		IDs:        func(in []tensor.Shape) IDs { v, _ := MatrixShape(in[1]); return IDs{0, 0, int32(v)} },
		NoGradient: []int{0},
		Backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			d, err := Apply(embedGrad(), dy, in[0], in[1])
			return gorgonia.Nodes{nil, d}, err
		},
		ONNX: func(x *ONNX) string {
			return x.Widen(x.Node("Gather", []string{x.Table(1), x.In(0)}, Attr("axis", 0)))
		},
	}
}

// embedGrad is the gradient of the table; operands dy, ids, the table.
func embedGrad() *Op {
	return &Op{
		Name:   "EmbedGrad",
		Shape:  sameShape(2),
		Run:    func(c *Call) { kernel.EmbedBackward(c.Pool, c.Out, c.In[0].F, c.In[1].IDs, c.Cols) },
		Adds:   AlwaysAdds,
		Stored: []int{2},
	}
}

// addRows adds learned positions: y[n] = x[n] + pos[n mod T]; operands x [B·T, E]
// and pos [P, E] with P >= T.
func addRows(t int) *Op {
	return &Op{
		Name:  fmt.Sprintf("AddRows(T %d)", t),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) { return positionShape(in, t) },
		Run: func(c *Call) {
			kernel.AddRowsForward(c.Pool, c.Out, c.In[0].F, c.In[1].F[:t*c.Cols], c.Rows, t, c.Cols)
		},
		Overwrites: []int{0},
		Backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			d, err := Apply(addRowsGrad(t), dy, in[1])
			return gorgonia.Nodes{dy, d}, err
		},
		ONNX: func(x *ONNX) string {
			pos := x.Widen(x.Node("Gather", []string{x.Table(1), x.Positions(t)}, Attr("axis", 0))) // (T, E)
			return x.Reshape(x.Add(x.Split3(x.In(0), t, x.Cols(0)), pos), -1, int64(x.Cols(0)))
		},
	}
}

// positionShape is that of x after positions were added to sequences of t rows.
func positionShape(in []tensor.Shape, t int) (tensor.Shape, error) {
	p, e := MatrixShape(in[1])
	if n, w := MatrixShape(in[0]); w != e || p < t || t < 1 || n%t != 0 {
		return nil, fmt.Errorf("%d positions of %d for %d rows of %d in sequences of %d", p, e, n, w, t)
	}
	return in[0].Clone(), nil
}

// addRowsGrad is the gradient of the positions; operands dy, pos.
func addRowsGrad(t int) *Op {
	return &Op{
		Name:  fmt.Sprintf("AddRowsGrad(T %d)", t),
		Shape: sameShape(1),
		Run: func(c *Call) {
			dy := c.In[0]
			kernel.AddRowsBackward(c.Pool, c.Out[:t*c.Cols], dy.F, dy.Rows, t, c.Cols)
		},
		Adds: AlwaysAdds,
	}
}

// addRowsAt is y[n] = x[n] + rows[pos[n]]; operands x [N, E], rows [P, E] and pos [N].
func addRowsAt() *Op {
	return &Op{
		Name: "AddRowsAt",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, e := MatrixShape(in[0])
			if _, w := MatrixShape(in[1]); w != e || in[2].TotalSize() != n {
				return nil, fmt.Errorf("%d positions of rows of %d for %d rows of %d", in[2].TotalSize(), w, n, e)
			}
			return in[0].Clone(), nil
		},
		Run:        func(c *Call) { kernel.AddRowsAt(c.Pool, c.Out, c.In[0].F, c.In[1].F, c.In[2].IDs, c.Cols) },
		IDs:        func(in []tensor.Shape) IDs { p, _ := MatrixShape(in[1]); return IDs{2, 0, int32(p)} },
		NoGradient: []int{2},
		Overwrites: []int{0},
		Backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			d, err := Apply(embedGrad(), dy, in[2], in[1])
			return gorgonia.Nodes{dy, d, nil}, err
		},
	}
}
