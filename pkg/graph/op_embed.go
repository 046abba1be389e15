package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// embed is y[n] = table[ids[n]]; operands ids [N] and table [V, E].
type embed struct{}

func (embed) name() string { return "Embed" }

func (embed) shape(in []tensor.Shape) (tensor.Shape, error) {
	_, e := rows(in[1])
	return tensor.Shape{in[0].TotalSize(), e}, nil
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
	if _, w := rows(in[0]); w != e || p < o.t {
		return nil, fmt.Errorf("positions are %d x %d, expected at least %d x %d", p, e, o.t, w)
	}
	return in[0].Clone(), nil
}

func (o addRows) overwrites() int    { return 0 }
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

// addPositions is addRows for decoding: the new tokens of sequence b stand at
// pos[b], pos[b]+1, ... The positions are read when the operation runs.
type addPositions struct {
	t     int
	cache *Cache
}

func (o addPositions) name() string { return fmt.Sprintf("AddPositions(T %d)", o.t) }

func (o addPositions) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }

func (o addPositions) run(c *call) {
	e := c.cols
	for n := range c.rows {
		at := int(o.cache.Pos[n/o.t]) + n%o.t
		x, p, y := c.in[0].f[n*e:][:e], c.in[1].f[at*e:][:e], c.out[n*e:][:e]
		for i := range y {
			y[i] = x[i] + p[i]
		}
	}
}
