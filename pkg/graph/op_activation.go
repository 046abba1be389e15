package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// GELU is x·Φ(x) of every value, or with tanh GPT-2's approximation
// (https://arxiv.org/abs/1606.08415).
func (b *Builder) GELU(x *Node, tanh bool) *Node { return b.apply(gelu{tanh}, x) }

// SwiGLU is silu(gate)·up of rows [gate F | up F]: (N, F).
func (b *Builder) SwiGLU(gateUp *Node) *Node { return b.apply(swiGLU{}, gateUp) }

// Add is x + y, of one shape.
func (b *Builder) Add(x, y *Node) *Node { return b.apply(add{}, x, y) }

// Scale is f·x.
func (b *Builder) Scale(x *Node, f float32) *Node { return b.apply(scale{f}, x) }

// gelu is y = x·Φ(x), with tanh by GPT-2's approximation.
type gelu struct{ tanh bool }

func (o gelu) name() string                                  { return fmt.Sprintf("GELU(tanh %t)", o.tanh) }
func (o gelu) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }
func (o gelu) run(c *call)                                   { kernel.GELUForward(c.pool, c.out, c.in[0].f, o.tanh) }
func (o gelu) overwrites() []int                             { return []int{0} }
func (o gelu) light()                                        {}
func (o gelu) diffs(n int) []bool                            { return allTrue(n) }

func (o gelu) backward(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	dx, err := apply(geluBackward(o), dy, in[0])
	return gorgonia.Nodes{dx}, err
}

type geluBackward struct{ tanh bool }

func (o geluBackward) name() string                                  { return fmt.Sprintf("GELUBackward(tanh %t)", o.tanh) }
func (o geluBackward) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }
func (o geluBackward) overwrites() []int                             { return []int{0} }
func (o geluBackward) run(c *call) {
	kernel.GELUBackward(c.pool, c.out, c.in[0].f, c.in[1].f, o.tanh)
}

// swiGLU is h = silu(gate)·up over rows [gate F | up F]
// (https://arxiv.org/abs/2002.05202).
type swiGLU struct{}

func (swiGLU) name() string { return "SwiGLU" }

func (swiGLU) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, w := rows(in[0])
	if w%2 != 0 {
		return nil, fmt.Errorf("gate and up are %d wide together, expected an even number", w)
	}
	return tensor.Shape{n, w / 2}, nil
}

func (swiGLU) run(c *call)        { kernel.SwiGLUForward(c.pool, c.out, c.in[0].f, c.rows, c.cols) }
func (swiGLU) light()             {}
func (swiGLU) diffs(n int) []bool { return allTrue(n) }
func (swiGLU) backward(in gorgonia.Nodes, _, dh *Node) (gorgonia.Nodes, error) {
	d, err := apply(swiGLUBackward{}, dh, in[0])
	return gorgonia.Nodes{d}, err
}

type swiGLUBackward struct{}

func (swiGLUBackward) name() string                                  { return "SwiGLUBackward" }
func (swiGLUBackward) shape(in []tensor.Shape) (tensor.Shape, error) { return in[1].Clone(), nil }
func (swiGLUBackward) overwrites() []int                             { return []int{1} }
func (swiGLUBackward) run(c *call) {
	kernel.SwiGLUBackward(c.pool, c.out, c.in[0].f, c.in[1].f, c.rows, c.cols/2)
}

// add is y = a + b, also what Gorgonia's own + becomes.
type add struct{}

func (add) name() string { return "Add" }

func (add) shape(in []tensor.Shape) (tensor.Shape, error) {
	if !in[0].Eq(in[1]) {
		return nil, fmt.Errorf("operands differ")
	}
	return in[0].Clone(), nil
}

func (add) run(c *call)        { kernel.Add(c.pool, c.out, c.in[0].f, c.in[1].f) }
func (add) overwrites() []int  { return []int{0, 1} }
func (add) diffs(n int) []bool { return allTrue(n) }
func (add) backward(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{dy, dy}, nil
}

// scale is y = f·x.
type scale struct{ f float32 }

func (o scale) name() string                                  { return fmt.Sprintf("Scale(%g)", o.f) }
func (o scale) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }
func (o scale) run(c *call)                                   { kernel.Scale(c.pool, c.out, c.in[0].f, o.f) }
func (o scale) overwrites() []int                             { return []int{0} }
func (o scale) light()                                        {}
func (o scale) diffs(n int) []bool                            { return allTrue(n) }

func (o scale) backward(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	dx, err := apply(o, dy)
	return gorgonia.Nodes{dx}, err
}
