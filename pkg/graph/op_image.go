package graph

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Patches cuts images [B, C·H·W] in squares of p x p pixels, in reading order:
// (B·(H/p)·(W/p), C·p·p). Pixels have no gradient.
func (b *Builder) Patches(images *Node, c, h, w, p int) *Node {
	return b.Apply(patches(c, h, w, p), images)
}

func patches(channels, h, w, p int) *Op {
	return &Op{
		Name: fmt.Sprintf("Patches(%d x %d x %d by %d)", channels, h, w, p),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			b, n := MatrixShape(in[0])
			if channels < 1 || h < 1 || w < 1 || p < 1 || h%p != 0 || w%p != 0 || n != channels*h*w {
				return nil, fmt.Errorf("images of %d values are not %d x %d x %d in squares of %d", n, channels, h, w, p)
			}
			return tensor.Shape{b * (h / p) * (w / p), channels * p * p}, nil
		},
		Run: func(c *Call) {
			x := c.In[0]
			kernel.Patches(c.Pool, c.Out, x.F, x.Rows, channels, h, w, p)
		},
		ONNX: func(x *ONNX) string {
			side := int64(p)
			v := x.Reshape(x.In(0), -1, int64(channels), int64(h/p), side, int64(w/p), side)
			return x.Reshape(x.Transpose(v, 0, 2, 4, 1, 3, 5), -1, int64(channels)*side*side)
		},
	}
}
