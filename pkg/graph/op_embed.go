package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Embed looks up ids [N] in table [V, E]: (N, E).
func (b *Builder) Embed(ids, table *Node) *Node { return b.apply(embed{}, ids, table) }

// AddRows adds learned positions pos [P, E], P >= T, to x [B·T, E]: (B·T, E).
func (b *Builder) AddRows(x, pos *Node, t int) *Node { return b.apply(addRows{t}, x, pos) }

// embed is y[n] = table[ids[n]]; operands ids [N] and table [V, E].
type embed struct{}

func (embed) name() string { return "Embed" }

func (embed) shape(in []tensor.Shape) (tensor.Shape, error) {
	_, e := rows(in[1])
	return tensor.Shape{in[0].TotalSize(), e}, nil
}

func (embed) intRange(in []tensor.Shape) (int, int32, int32) {
	v, _ := rows(in[1])
	return 0, 0, int32(v)
}

func (embed) run(c *call)        { kernel.EmbedForward(c.pool, c.out, c.in[1].f, c.in[0].ids, c.cols) }
func (embed) diffs(n int) []bool { return []bool{false, true} }

func (embed) backward(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	d, err := apply(embedGrad{}, dy, in[0], in[1])
	return gorgonia.Nodes{nil, d}, err
}

type embedGrad struct{}

func (embedGrad) name() string                                  { return "EmbedGrad" }
func (embedGrad) shape(in []tensor.Shape) (tensor.Shape, error) { return in[2].Clone(), nil }
func (embedGrad) alwaysAdds() bool                              { return true }
func (embedGrad) run(c *call)                                   { kernel.EmbedBackward(c.pool, c.out, c.in[0].f, c.in[1].ids, c.cols) }

// addRows adds learned positions: y[n] = x[n] + pos[n mod T]; operands x [B·T, E]
// and pos [P, E] with P >= T.
type addRows struct{ t int }

func (o addRows) name() string { return fmt.Sprintf("AddRows(T %d)", o.t) }

func (o addRows) shape(in []tensor.Shape) (tensor.Shape, error) {
	p, e := rows(in[1])
	if n, w := rows(in[0]); w != e || p < o.t || o.t < 1 || n%o.t != 0 {
		return nil, fmt.Errorf("%d positions of %d for %d rows of %d in sequences of %d", p, e, n, w, o.t)
	}
	return in[0].Clone(), nil
}

func (o addRows) overwrites() []int  { return []int{0} }
func (o addRows) diffs(n int) []bool { return allTrue(n) }
func (o addRows) run(c *call) {
	kernel.AddRowsForward(c.pool, c.out, c.in[0].f, c.in[1].f[:o.t*c.cols], c.rows, o.t, c.cols)
}

func (o addRows) backward(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	d, err := apply(addRowsGrad(o), dy, in[1])
	return gorgonia.Nodes{dy, d}, err
}

type addRowsGrad struct{ t int }

func (o addRowsGrad) name() string                                  { return fmt.Sprintf("AddRowsGrad(T %d)", o.t) }
func (o addRowsGrad) shape(in []tensor.Shape) (tensor.Shape, error) { return in[1].Clone(), nil }
func (o addRowsGrad) alwaysAdds() bool                              { return true }
func (o addRowsGrad) run(c *call) {
	dy := c.in[0]
	kernel.AddRowsBackward(c.pool, c.out[:o.t*c.cols], dy.f, dy.rows, o.t, c.cols)
}
