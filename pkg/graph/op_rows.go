package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Rows takes row `row` of every `of` rows of x [N, E], a class token or the last
// token of each sequence: (N/of, E).
func (b *Builder) Rows(x *Node, of, row int) *Node { return b.apply(selectRow{of, row}, x) }

// Prepend puts the rows of the block rows [K, E] (class and distillation tokens)
// before the T rows of every sequence of x [B·T, E]: (B·(K+T), E).
func (b *Builder) Prepend(x, rows *Node, t int) *Node { return b.apply(prepend{t}, x, rows) }

type selectRow struct{ t, at int }

func (o selectRow) name() string { return fmt.Sprintf("Rows(T %d at %d)", o.t, o.at) }

func (o selectRow) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	if o.t <= 0 || n%o.t != 0 || o.at < 0 || o.at >= o.t {
		return nil, fmt.Errorf("%d rows have no row %d of sequences of %d", n, o.at, o.t)
	}
	return tensor.Shape{n / o.t, e}, nil
}

func (o selectRow) run(c *call) {
	kernel.SelectRow(c.pool, c.out, c.in[0].f, c.rows, o.t, c.cols, o.at)
}

func (o selectRow) diffs(n int) []bool { return allTrue(n) }

func (o selectRow) backward(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	dx, err := apply(selectRowBackward(o), dy)
	return gorgonia.Nodes{dx}, err
}

type selectRowBackward struct{ t, at int }

func (o selectRowBackward) name() string { return fmt.Sprintf("RowsBackward(T %d at %d)", o.t, o.at) }

func (o selectRowBackward) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	return tensor.Shape{n * o.t, e}, nil
}

func (o selectRowBackward) run(c *call) {
	kernel.SelectRowBackward(c.pool, c.out, c.in[0].f, c.rows/o.t, o.t, c.cols, o.at)
}

// prepend is Builder.Prepend; operands x [B·T, E] and rows [K, E].
type prepend struct{ t int }

func (o prepend) name() string { return fmt.Sprintf("Prepend(T %d)", o.t) }

func (o prepend) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	k, w := rows(in[1])
	if o.t <= 0 || n%o.t != 0 || w != e {
		return nil, fmt.Errorf("x has %d rows of %d, expected sequences of %d rows of %d", n, e, o.t, w)
	}
	return tensor.Shape{n + n/o.t*k, e}, nil
}

func (o prepend) run(c *call) {
	x, k := c.in[0], c.in[1].rows
	kernel.Prepend(c.pool, c.out, x.f, c.in[1].f, x.rows/o.t, k, o.t, c.cols)
}

func (o prepend) diffs(n int) []bool { return allTrue(n) }

func (o prepend) backward(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	k, _ := rows(in[1].Shape())
	dx, err := apply(prependBackward{o.t, k}, dy)
	if err != nil {
		return nil, err
	}
	dr, err := apply(prependGrad(o), dy, in[1])
	return gorgonia.Nodes{dx, dr}, err
}

type prependBackward struct{ t, k int }

func (o prependBackward) name() string { return fmt.Sprintf("PrependBackward(T %d K %d)", o.t, o.k) }

func (o prependBackward) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	return tensor.Shape{n / (o.t + o.k) * o.t, e}, nil
}

func (o prependBackward) run(c *call) {
	kernel.PrependBackward(c.pool, c.out, c.in[0].f, c.rows/o.t, o.k, o.t, c.cols)
}

type prependGrad struct{ t int }

func (o prependGrad) name() string                                  { return fmt.Sprintf("PrependGrad(T %d)", o.t) }
func (o prependGrad) shape(in []tensor.Shape) (tensor.Shape, error) { return in[1].Clone(), nil }
func (o prependGrad) alwaysAdds() bool                              { return true }
func (o prependGrad) run(c *call) {
	dy := c.in[0]
	kernel.PrependGrad(c.pool, c.out, dy.f, dy.rows/(c.rows+o.t), c.rows, o.t, c.cols)
}
