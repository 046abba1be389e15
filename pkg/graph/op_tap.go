package graph

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// tap marks a value whose columns are the units of a coupled dimension.
type tap struct {
	dim  string
	node *Node
	op   *Op   // of the value and its gradient
	from *Node // what a whole layer reads, the operation's third operand; nil for other taps
}

// site marks a value that LowerOptions.Observe is shown.
type site struct {
	name string
	node *Node
}

// Tap marks the value n [B·T, W] whose columns from col0 on are the units of a
// coupled dimension, width adjacent columns each; sequences is B. With
// LowerOptions.Taps the gate gradients
//
//	r[b, u] = sum over the tokens t and columns c of unit u of n[b, t, c] · dloss/dn[b, t, c]
//
// become the output "gate:"+dim, [B, units]. Without, a tap costs nothing.
func (b *Builder) Tap(dim string, n *Node, sequences, col0, units, width int) {
	b.tap(dim, n, gateDot(sequences, col0, units, width))
}

// TapHeads is Tap for units of queries and keys that one gate scales together, in rows
// of q, k, v before a norm of them, where the two sides' gradients differ:
//
//	r[b, l, u] = sum over the tokens, the heads of list l and the columns of unit u of n · dloss/dn
//
// A list is a K/V head with its query heads or, with shared, all heads: [B, lists, QK/width].
func (b *Builder) TapHeads(dim string, qkv *Node, s Shape, width int, shared bool) {
	b.tap(dim, qkv, gateDotHeads(s, width, shared))
}

// TapLayer is Tap for a whole layer, which makes out of in, both [B·T, W]:
//
//	r[b] = sum over the tokens and columns of (out - in) · dloss/dout,  [B, 1]
//
// is the gradient of a gate that has the layer at 1 and leaves in as it is at 0.
func (b *Builder) TapLayer(dim string, in, out *Node, sequences int) {
	if b.err == nil && (in == nil || out == nil || !in.Shape().Eq(out.Shape())) {
		b.Fail(fmt.Errorf("graph: tap %s: a layer's input and output have one shape", dim))
	}
	n := len(b.taps)
	if b.tap(dim, out, gateLayer(sequences)); len(b.taps) > n {
		b.taps[n].from = in
	}
}

func (b *Builder) tap(dim string, n *Node, op *Op) {
	if b.err != nil {
		return
	}
	if n == nil {
		b.Fail(fmt.Errorf("graph: tap %s: the value is missing", dim))
	} else if _, err := op.Shape([]tensor.Shape{n.Shape(), n.Shape()}); err != nil {
		b.Fail(fmt.Errorf("graph: tap %s: %w", dim, err))
	} else {
		b.taps = append(b.taps, tap{dim: dim, node: n, op: op})
	}
}

// Site marks a value [N, W] that LowerOptions.Observe is shown, under this name,
// as soon as a run has computed it: second moments and other statistics of
// activations are taken there, and the value is kept no longer for it.
func (b *Builder) Site(name string, n *Node) {
	if b.err != nil {
		return
	}
	if n == nil {
		b.Fail(fmt.Errorf("graph: site %s: the value is missing", name))
		return
	}
	b.sites = append(b.sites, site{name, n})
}

// Sites are the names of the sites, in the order in which they were marked.
func (b *Builder) Sites() []string {
	names := make([]string, len(b.sites))
	for i, s := range b.sites {
		names[i] = s.name
	}
	return names
}

// AtSite is the value of a site, nil when there is none of this name.
func (b *Builder) AtSite(name string) *Node {
	for _, s := range b.sites {
		if s.name == name {
			return s.node
		}
	}
	return nil
}

// gateDot is the gate gradient r[b, u] of units of a value, from the value and
// its gradient: see kernel.GateDot.
func gateDot(b, col0, units, width int) *Op {
	return &Op{
		Name: fmt.Sprintf("GateDot(B %d col %d units %d width %d)", b, col0, units, width),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, w := MatrixShape(in[0])
			if !in[0].Eq(in[1]) || b <= 0 || n%b != 0 || col0 < 0 || units < 1 || width < 1 || col0+units*width > w {
				return nil, fmt.Errorf("%d units of %d columns from column %d do not fit %d sequences in %d x %d", units, width, col0, b, n, w)
			}
			return tensor.Shape{b, units}, nil
		},
		Run: func(c *Call) {
			x := c.In[0]
			kernel.GateDot(c.Pool, c.Out, x.rows(), c.In[1].F, b, x.Rows/b, x.Cols, col0, units, width)
		},
		ReadsBF16: []int{0},
		Purpose:   Evidence,
	}
}

// gateDotHeads is the gate gradient of units of queries and keys: see kernel.GateDotHeads.
func gateDotHeads(s Shape, width int, shared bool) *Op {
	lists := s.G
	if shared {
		lists = 1
	}
	return &Op{
		Name: fmt.Sprintf("GateDotHeads(%s width %d shared %t)", attnName(s), width, shared),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if !in[0].Eq(in[1]) || width < 1 || s.QK%width != 0 {
				return nil, fmt.Errorf("units of %d columns in heads of %d", width, s.QK)
			}
			return tensor.Shape{s.B, lists * s.QK / width}, checkQKV(in[0], s)
		},
		Run: func(c *Call) {
			kernel.GateDotHeads(c.Pool, c.Out, c.In[0].rows(), c.In[1].F, s, width, shared)
		},
		ReadsBF16: []int{0},
		Purpose:   Evidence,
	}
}

// gateLayer is the gate gradient of a whole layer: see kernel.GateLayer.
func gateLayer(b int) *Op {
	return &Op{
		Name: fmt.Sprintf("GateLayer(B %d)", b),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			n, _ := MatrixShape(in[0])
			if !in[0].Eq(in[1]) || len(in) == 3 && !in[0].Eq(in[2]) || b <= 0 || n%b != 0 {
				return nil, fmt.Errorf("a layer's rows %v do not fit %d sequences", in, b)
			}
			return tensor.Shape{b, 1}, nil
		},
		Run: func(c *Call) {
			y := c.In[0]
			kernel.GateLayer(c.Pool, c.Out, c.In[2].F, y.F, c.In[1].F, b, y.Rows/b*y.Cols)
		},
		Purpose: Evidence,
	}
}

// observe shows a value to a function; its own output has no values.
func observe(site string, show func(site string, x []float32, rows, cols int) error) *Op {
	return &Op{
		Name: "Observe(" + site + ")",
		Run: func(c *Call) {
			x := c.In[0]
			c.Err = show(site, x.F, x.Rows, x.Cols)
		},
	}
}
