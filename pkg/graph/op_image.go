package graph

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Patches cuts images [B, C·H·W] in squares of p x p pixels, in reading order:
// (B·(H/p)·(W/p), C·p·p). Pixels have no gradient.
func (b *Builder) Patches(images *Node, c, h, w, p int) *Node {
	return b.apply(patches{c, h, w, p}, images)
}

type patches struct{ c, h, w, p int }

func (o patches) name() string { return fmt.Sprintf("Patches(%d x %d x %d by %d)", o.c, o.h, o.w, o.p) }

func (o patches) shape(in []tensor.Shape) (tensor.Shape, error) {
	b, n := rows(in[0])
	if o.c < 1 || o.h < 1 || o.w < 1 || o.p < 1 || o.h%o.p != 0 || o.w%o.p != 0 || n != o.c*o.h*o.w {
		return nil, fmt.Errorf("images of %d values are not %d x %d x %d in squares of %d", n, o.c, o.h, o.w, o.p)
	}
	return tensor.Shape{b * (o.h / o.p) * (o.w / o.p), o.c * o.p * o.p}, nil
}

func (o patches) run(c *call) {
	x := c.in[0]
	kernel.Patches(c.pool, c.out, x.f, x.rows, o.c, o.h, o.w, o.p)
}
