package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// pick selects row `row` of every `of` rows: (N/of, E).
type pick struct{ of, row int }

func (o pick) name() string { return fmt.Sprintf("Rows(%d of %d)", o.row, o.of) }

func (o pick) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	if o.of < 1 || n%o.of != 0 || o.row < 0 || o.row >= o.of {
		return nil, fmt.Errorf("row %d of every %d does not fit", o.row, o.of)
	}
	return tensor.Shape{n / o.of, e}, nil
}

func (o pick) run(c *call) {
	for i := range c.rows {
		copy(c.out[i*c.cols:][:c.cols], c.in[0].f[(i*o.of+o.row)*c.cols:])
	}
}

func (o pick) diffs(n int) []bool { return allTrue(n) }

func (o pick) backward(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	d, err := apply(pickBackward(o), dy)
	return gorgonia.Nodes{d}, err
}

type pickBackward struct{ of, row int }

func (o pickBackward) name() string { return fmt.Sprintf("RowsBackward(%d of %d)", o.row, o.of) }

func (o pickBackward) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, e := rows(in[0])
	return tensor.Shape{n * o.of, e}, nil
}

func (o pickBackward) run(c *call) {
	clear(c.out)
	dy := c.in[0]
	for i := range dy.rows {
		copy(c.out[(i*o.of+o.row)*c.cols:][:c.cols], dy.f[i*c.cols:])
	}
}
