package graph

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// tap marks a value whose columns are the units of a coupled dimension.
type tap struct {
	dim                string
	node               *Node
	b                  int
	col0, units, width int
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
	if b.err != nil {
		return
	}
	op := gateDot{sequences, col0, units, width}
	if n == nil {
		b.Fail(fmt.Errorf("graph: tap %s: the value is missing", dim))
	} else if _, err := op.shape([]tensor.Shape{n.Shape(), n.Shape()}); err != nil {
		b.Fail(fmt.Errorf("graph: tap %s: %w", dim, err))
	} else {
		b.taps = append(b.taps, tap{dim, n, sequences, col0, units, width})
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

// gateDot is the gate gradient r[b, u] of units of a value, from the value and
// its gradient: see kernel.GateDot.
type gateDot struct{ b, col0, units, width int }

func (o gateDot) name() string {
	return fmt.Sprintf("GateDot(B %d col %d units %d width %d)", o.b, o.col0, o.units, o.width)
}

func (o gateDot) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, w := rows(in[0])
	if !in[0].Eq(in[1]) || o.b <= 0 || n%o.b != 0 || o.col0 < 0 || o.units < 1 || o.width < 1 || o.col0+o.units*o.width > w {
		return nil, fmt.Errorf("%d units of %d columns from column %d do not fit %d sequences in %d x %d", o.units, o.width, o.col0, o.b, n, w)
	}
	return tensor.Shape{o.b, o.units}, nil
}

func (o gateDot) run(c *call) {
	x := c.in[0]
	kernel.GateDot(c.pool, c.out, x.f, c.in[1].f, o.b, x.rows/o.b, x.cols, o.col0, o.units, o.width)
}

// observe shows a value to a function; its own output has no values.
type observe struct {
	site string
	f    func(name string, x []float32, rows, cols int) error
}

func (o observe) name() string                               { return "Observe(" + o.site + ")" }
func (o observe) shape([]tensor.Shape) (tensor.Shape, error) { return tensor.Shape{0}, nil }
func (o observe) run(c *call) {
	x := c.in[0]
	c.err = o.f(o.site, x.f, x.rows, x.cols)
}
