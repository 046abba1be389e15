package graph

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// gateDot is the gate gradient r[b, u] of units of a value, from the value and
// its gradient: see kernel.GateDot.
type gateDot struct{ b, col0, units, width int }

func (o gateDot) name() string {
	return fmt.Sprintf("GateDot(B %d col %d units %d width %d)", o.b, o.col0, o.units, o.width)
}

func (o gateDot) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, w := rows(in[0])
	if !in[0].Eq(in[1]) || o.b <= 0 || n%o.b != 0 || o.col0 < 0 || o.col0+o.units*o.width > w {
		return nil, fmt.Errorf("%d units of %d columns from column %d do not fit", o.units, o.width, o.col0)
	}
	return tensor.Shape{o.b, o.units}, nil
}

func (o gateDot) run(c *call) {
	x := c.in[0]
	kernel.GateDot(c.pool, c.out, x.f, c.in[1].f, o.b, x.rows/o.b, x.cols, o.col0, o.units, o.width)
}
