package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Linear is x [N, E] · wᵀ + bias with w [M, E]: (N, M). bias may be nil.
func (b *Builder) Linear(x, w, bias *Node) *Node {
	in := []*Node{x, w}
	if bias != nil {
		in = append(in, bias)
	}
	return b.adapted(x, w, b.apply(linear{bias: bias != nil, bf16: b.bf16}, in...), false)
}

// LinearIn is x [N, M] · w + bias + residual with w [M, E]: (N, E). bias and
// residual may be nil.
func (b *Builder) LinearIn(x, w, bias, residual *Node) *Node {
	in := []*Node{x, w}
	for _, n := range []*Node{bias, residual} {
		if n != nil {
			in = append(in, n)
		}
	}
	return b.adapted(x, w, b.apply(linear{in: true, bias: bias != nil, residual: residual != nil, bf16: b.bf16}, in...), true)
}

// linear is a matrix product with a unit-major weight w [M, E]:
//
//	y[N, M] = x[N, E] · wᵀ + bias        (in false: q, k, v, gate, up, the head)
//	y[N, E] = x[N, M] · w  + bias + residual  (in true: o, down)
//
// Operands: x, w, then bias and residual where there are any.
type linear struct{ in, bias, residual, bf16 bool }

func (o linear) name() string {
	s := "Linear"
	if o.in {
		s = "LinearIn"
	}
	if o.bias {
		s += "+bias"
	}
	if o.residual {
		s += "+residual"
	}
	if o.bf16 {
		s += " bf16"
	}
	return s
}

func (o linear) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, xw := rows(in[0])
	m, e := rows(in[1])
	inner, outer := e, m
	if o.in {
		inner, outer = m, e
	}
	if xw != inner {
		return nil, fmt.Errorf("x is %d wide, the weight takes %d", xw, inner)
	}
	at := 2
	if o.bias {
		if b := in[at].TotalSize(); b != outer {
			return nil, fmt.Errorf("bias has %d values, expected %d", b, outer)
		}
		at++
	}
	if o.residual && !in[at].Eq(tensor.Shape{n, outer}) {
		return nil, fmt.Errorf("residual is %v, expected %v", in[at], tensor.Shape{n, outer})
	}
	return tensor.Shape{n, outer}, nil
}

func (o linear) run(c *call) {
	p := kernel.Product{TransB: !o.in, BF16: o.bf16}
	at := 2
	if o.bias {
		p.Bias = c.in[at].f
		at++
	}
	if o.residual {
		if r := c.in[at].f; &r[0] == &c.out[0] {
			p.Accumulate = true // the residual stream is updated in place
		} else {
			p.Residual = r
		}
	}
	c.multiply(p)
}

// multiply computes out = in[0] · op(in[1]), in[1] a weight.
func (c *call) multiply(p kernel.Product) {
	x, w := c.in[0], c.in[1]
	if w.half != nil {
		kernel.MatMul16(c.pool, c.mat(), x.mat(), kernel.Matrix16{Data: w.half, Rows: w.rows, Cols: w.cols, Stride: w.cols}, p)
	} else {
		kernel.MatMul(c.pool, c.mat(), x.mat(), w.mat(), p)
	}
}

func (o linear) overwrites() []int {
	switch {
	case !o.residual:
		return nil
	case o.bias:
		return []int{3}
	}
	return []int{2}
}

func (o linear) flops(in []tensor.Shape, out tensor.Shape) int64 {
	_, inner := rows(in[0])
	return 2 * int64(out.TotalSize()) * int64(inner)
}

func (o linear) diffs(n int) []bool { return allTrue(n) }

func (o linear) backward(in gorgonia.Nodes, out, dy *Node) (gorgonia.Nodes, error) {
	x, w := in[0], in[1]
	dw, err := apply(weightGrad{in: o.in, bf16: o.bf16}, x, dy, w)
	if err != nil {
		return nil, err
	}
	dx, err := apply(inputGrad{in: o.in, bf16: o.bf16}, dy, w)
	if err != nil {
		return nil, err
	}
	grads := gorgonia.Nodes{dx, dw}
	if o.bias {
		db, err := apply(biasGrad{}, dy, in[2])
		if err != nil {
			return nil, err
		}
		grads = append(grads, db)
	}
	if o.residual {
		grads = append(grads, dy)
	}
	return grads, nil
}

// inputGrad is dx of linear: dy · w, or dy · wᵀ for in.
type inputGrad struct{ in, bf16 bool }

func (o inputGrad) name() string { return fmt.Sprintf("LinearBackward(in %t bf16 %t)", o.in, o.bf16) }

func (o inputGrad) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, _ := rows(in[0])
	m, e := rows(in[1])
	if o.in {
		return tensor.Shape{n, m}, nil
	}
	return tensor.Shape{n, e}, nil
}

func (o inputGrad) run(c *call) {
	c.multiply(kernel.Product{TransB: o.in, BF16: o.bf16, Accumulate: c.add})
}

func (o inputGrad) alwaysAdds() bool { return false }

func (o inputGrad) flops(in []tensor.Shape, out tensor.Shape) int64 {
	_, inner := rows(in[0])
	return 2 * int64(out.TotalSize()) * int64(inner)
}

// weightGrad is dw [M, E] of linear: dyᵀ · x, or xᵀ · dy for in. The weight is
// an operand for its shape alone.
type weightGrad struct{ in, bf16 bool }

func (o weightGrad) name() string { return fmt.Sprintf("LinearGrad(in %t bf16 %t)", o.in, o.bf16) }

func (o weightGrad) shape(in []tensor.Shape) (tensor.Shape, error) { return in[2].Clone(), nil }

func (o weightGrad) run(c *call) {
	a, b := c.in[1].mat(), c.in[0].mat()
	if o.in {
		a, b = b, a
	}
	kernel.MatMul(c.pool, c.mat(), a, b, kernel.Product{TransA: true, BF16: o.bf16, Accumulate: c.add})
}

func (o weightGrad) alwaysAdds() bool { return false }

func (o weightGrad) flops(in []tensor.Shape, out tensor.Shape) int64 {
	n, _ := rows(in[0])
	return 2 * int64(out.TotalSize()) * int64(n)
}

// biasGrad is the sum of dy over its rows.
type biasGrad struct{}

func (biasGrad) name() string                                  { return "BiasGrad" }
func (biasGrad) shape(in []tensor.Shape) (tensor.Shape, error) { return in[1].Clone(), nil }
func (biasGrad) run(c *call)                                   { kernel.BiasGrad(c.pool, c.out, c.in[0].f, c.in[0].rows, c.in[0].cols) }
func (biasGrad) alwaysAdds() bool                              { return true }
