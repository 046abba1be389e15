package graph

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// GELU is x·Φ(x) of every value, or with tanh GPT-2's approximation
// (https://arxiv.org/abs/1606.08415).
func (b *Builder) GELU(x *Node, tanh bool) *Node { return b.Apply(b.rounded(gelu(tanh)), x) }

// SwiGLU is silu(gate)·up of rows [gate F | up F]: (N, F).
func (b *Builder) SwiGLU(gateUp *Node) *Node { return b.Apply(b.rounded(swiGLU()), gateUp) }

// GeGLU is gelu(gate)·up of rows [gate F | up F]: (N, F), with tanh by GPT-2's
// approximation of GELU.
func (b *Builder) GeGLU(gateUp *Node, tanh bool) *Node {
	return b.Apply(b.rounded(geGLU(tanh)), gateUp)
}

// SoftCap is c·tanh(x/c) of every value, c > 0.
func (b *Builder) SoftCap(x *Node, c float32) *Node { return b.Apply(softCap(c), x) }

// AddScaled is x + m·y, of one shape.
func (b *Builder) AddScaled(x, y *Node, m float32) *Node { return b.Apply(addScaled(m), x, y) }

// Add is x + y, of one shape.
func (b *Builder) Add(x, y *Node) *Node { return b.Apply(add(), x, y) }

// Scale is f·x.
func (b *Builder) Scale(x *Node, f float32) *Node { return b.Apply(scale(f), x) }

// gelu is y = x·Φ(x), with tanh by GPT-2's approximation.
func gelu(tanh bool) *Op {
	return &Op{
		Name:       fmt.Sprintf("GELU(tanh %t)", tanh),
		Shape:      sameShape(0),
		Run:        func(c *Call) { kernel.GELUForward(c.Pool, c.out(), c.In[0].rows(), c.Rows*c.Cols, tanh) },
		Overwrites: []int{0},
		ReadsBF16:  []int{0},
		Light:      true,
		Backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := Apply(geluBackward(tanh), dy, in[0])
			return gorgonia.Nodes{dx}, err
		},
		ONNX: func(x *ONNX) string { return geluONNX(x, x.In(0), tanh) },
	}
}

func geluONNX(x *ONNX, v string, tanh bool) string {
	var inner string
	if tanh {
		cube := x.Mul(x.Mul(v, v), v)
		inner = x.Node("Tanh", []string{x.Mul(x.Add(v, x.Mul(cube, x.Number(0.044715))), x.Number(math.Sqrt(2/math.Pi)))})
	} else {
		inner = x.Node("Erf", []string{x.Mul(v, x.Number(math.Sqrt(0.5)))})
	}
	return x.Mul(x.Mul(v, x.Number(0.5)), x.Add(inner, x.Number(1)))
}

// geluBackward is dx; operands dy, x.
func geluBackward(tanh bool) *Op {
	return &Op{
		Name:       fmt.Sprintf("GELUBackward(tanh %t)", tanh),
		Shape:      sameShape(0),
		Run:        func(c *Call) { kernel.GELUBackward(c.Pool, c.out(), c.In[0].F, c.In[1].rows(), tanh) },
		Overwrites: []int{0, 1},
		Narrow:     CanRound,
		ReadsBF16:  []int{1},
	}
}

// swiGLU is h = silu(gate)·up over rows [gate F | up F]
// (https://arxiv.org/abs/2002.05202).
func swiGLU() *Op {
	return &Op{
		Name:      "SwiGLU",
		Shape:     gatedShape,
		Run:       func(c *Call) { kernel.SwiGLUForward(c.Pool, c.out(), c.In[0].rows(), c.Rows, c.Cols) },
		ReadsBF16: []int{0},
		Light:     true,
		Backward: func(in gorgonia.Nodes, _, dh *Node) (gorgonia.Nodes, error) {
			d, err := Apply(swiGLUBackward(), dh, in[0])
			return gorgonia.Nodes{d}, err
		},
		ONNX: func(x *ONNX) string {
			v := x.Parts(0, 2)
			return x.Mul(x.Mul(v[0], x.Node("Sigmoid", v[:1])), v[1])
		},
	}
}

// gatedShape is that of what rows [gate F | up F] become.
func gatedShape(in []tensor.Shape) (tensor.Shape, error) {
	n, w := MatrixShape(in[0])
	if w%2 != 0 {
		return nil, fmt.Errorf("gate and up are %d wide together, expected an even number", w)
	}
	return tensor.Shape{n, w / 2}, nil
}

// swiGLUBackward is the gradient of rows [gate F | up F]; operands dh and the rows.
func swiGLUBackward() *Op {
	return &Op{
		Name:       "SwiGLUBackward",
		Shape:      sameShape(1),
		Run:        func(c *Call) { kernel.SwiGLUBackward(c.Pool, c.out(), c.In[0].F, c.In[1].rows(), c.Rows, c.Cols/2) },
		Overwrites: []int{1},
		Narrow:     CanRound,
		ReadsBF16:  []int{1},
	}
}

// geGLU is h = gelu(gate)·up over rows [gate F | up F]
// (https://arxiv.org/abs/2002.05202).
func geGLU(tanh bool) *Op {
	return &Op{
		Name:      fmt.Sprintf("GeGLU(tanh %t)", tanh),
		Shape:     gatedShape,
		Run:       func(c *Call) { kernel.GeGLUForward(c.Pool, c.out(), c.In[0].rows(), c.Rows, c.Cols, tanh) },
		ReadsBF16: []int{0},
		Light:     true,
		Backward: func(in gorgonia.Nodes, _, dh *Node) (gorgonia.Nodes, error) {
			d, err := Apply(geGLUBackward(tanh), dh, in[0])
			return gorgonia.Nodes{d}, err
		},
		ONNX: func(x *ONNX) string {
			v := x.Parts(0, 2)
			return x.Mul(geluONNX(x, v[0], tanh), v[1])
		},
	}
}

// geGLUBackward is the gradient of rows [gate F | up F]; operands dh and the rows.
func geGLUBackward(tanh bool) *Op {
	return &Op{
		Name:  fmt.Sprintf("GeGLUBackward(tanh %t)", tanh),
		Shape: sameShape(1),
		Run: func(c *Call) {
			kernel.GeGLUBackward(c.Pool, c.out(), c.In[0].F, c.In[1].rows(), c.Rows, c.Cols/2, tanh)
		},
		Overwrites: []int{1},
		Narrow:     CanRound,
		ReadsBF16:  []int{1},
	}
}

// softCap is y = c·tanh(x/c).
func softCap(limit float32) *Op {
	return &Op{
		Name: fmt.Sprintf("SoftCap(%g)", limit),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if !(limit > 0) {
				return nil, fmt.Errorf("the cap is %g, expected more than 0", limit)
			}
			return in[0].Clone(), nil
		},
		Run:        func(c *Call) { kernel.SoftCapForward(c.Pool, c.Out, c.In[0].F, limit) },
		Overwrites: []int{0},
		Light:      true,
		Backward: func(_ gorgonia.Nodes, y, dy *Node) (gorgonia.Nodes, error) {
			dx, err := Apply(softCapBackward(limit), dy, y)
			return gorgonia.Nodes{dx}, err
		},
		ONNX: func(x *ONNX) string {
			return x.Mul(x.Node("Tanh", []string{x.Div(x.In(0), x.Number(float64(limit)))}), x.Number(float64(limit)))
		},
	}
}

// softCapBackward is dx; operands dy, y.
func softCapBackward(limit float32) *Op {
	return &Op{
		Name:       fmt.Sprintf("SoftCapBackward(%g)", limit),
		Shape:      sameShape(0),
		Run:        func(c *Call) { kernel.SoftCapBackward(c.Pool, c.Out, c.In[0].F, c.In[1].F, limit) },
		Overwrites: []int{0},
	}
}

// addScaled is y = a + m·b.
func addScaled(m float32) *Op {
	return &Op{
		Name: fmt.Sprintf("AddScaled(%g)", m),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if !in[0].Eq(in[1]) {
				return nil, fmt.Errorf("operands differ")
			}
			return in[0].Clone(), nil
		},
		Run:        func(c *Call) { kernel.AddScaled(c.Pool, c.Out, c.In[0].F, c.In[1].F, m) },
		Overwrites: []int{0, 1},
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			db, err := Apply(scale(m), dy)
			return gorgonia.Nodes{dy, db}, err
		},
		ONNX: func(x *ONNX) string { return x.Add(x.In(0), x.Mul(x.In(1), x.Number(float64(m)))) },
	}
}

// add is y = a + b, also what Gorgonia's own + becomes.
func add() *Op {
	return &Op{
		Name: "Add",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if !in[0].Eq(in[1]) {
				return nil, fmt.Errorf("operands differ")
			}
			return in[0].Clone(), nil
		},
		Run:        func(c *Call) { kernel.Add(c.Pool, c.Out, c.In[0].F, c.In[1].F) },
		Overwrites: []int{0, 1},
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			return gorgonia.Nodes{dy, dy}, nil
		},
		ONNX: func(x *ONNX) string { return x.Add(x.In(0), x.In(1)) },
	}
}

// scale is y = f·x.
func scale(f float32) *Op {
	return &Op{
		Name:       fmt.Sprintf("Scale(%g)", f),
		Shape:      sameShape(0),
		Run:        func(c *Call) { kernel.Scale(c.Pool, c.Out, c.In[0].F, f) },
		Overwrites: []int{0},
		Light:      true,
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			dx, err := Apply(scale(f), dy)
			return gorgonia.Nodes{dx}, err
		},
		ONNX: func(x *ONNX) string { return x.Mul(x.In(0), x.Number(float64(f))) },
	}
}
