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
	return b.adapted(x, w, b.Apply(linear(product{bias: bias != nil, bf16: b.o.BF16, int8: b.o.Int8}), in...), false)
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
	return b.adapted(x, w, b.Apply(linear(product{in: true, bias: bias != nil, residual: residual != nil, bf16: b.o.BF16}), in...), true)
}

// product is the form of a matrix product with a unit-major weight w [M, E]:
//
//	y[N, M] = x[N, E] · wᵀ + bias        (in false: q, k, v, gate, up, the head)
//	y[N, E] = x[N, M] · w  + bias + residual  (in true: o, down)
//
// Operands: x, w, then bias and residual where there are any.
type product struct{ in, bias, residual, bf16, int8 bool }

func (o product) name() string {
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
	if o.int8 {
		s += " int8"
	}
	return s
}

// linear is the operation of a product.
func linear(o product) *Op {
	op := &Op{
		Name: o.name(), Shape: o.shape, Run: o.run, Backward: o.backward, ONNX: o.onnx,
		FLOPs: func(in []tensor.Shape, out tensor.Shape) int64 {
			_, inner := MatrixShape(in[0])
			return productFLOPs(out, inner)
		},
		Stored:    []int{1},
		ReadsBF16: []int{0},
	}
	if o.bf16 {
		op.Rounds = []int{0}
	}
	if o.residual {
		op.Overwrites = []int{2}
		if o.bias {
			op.Overwrites = []int{3}
		}
	}
	return op
}

// productFLOPs is those of a product with this output, over an inner dimension.
func productFLOPs(out tensor.Shape, inner int) int64 {
	return 2 * int64(out.TotalSize()) * int64(inner)
}

func (o product) shape(in []tensor.Shape) (tensor.Shape, error) {
	n, xw := MatrixShape(in[0])
	m, e := MatrixShape(in[1])
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

func (o product) run(c *Call) {
	p := kernel.Product{TransB: !o.in, BF16: o.bf16, Int8: o.int8}
	at := 2
	if o.bias {
		p.Bias = c.In[at].F
		at++
	}
	if o.residual {
		if r := c.In[at].F; &r[0] == &c.Out[0] {
			p.Accumulate = true // the residual stream is updated in place
		} else {
			p.Residual = r
		}
	}
	c.multiply(p)
}

// multiply computes Out = In[0] · op(in[1]), in[1] a weight.
func (c *Call) multiply(p kernel.Product) {
	w := c.In[1]
	kernel.MatMulWeights(c.Pool, c.mat(), c.In[0].mat(), w.weights(), w.Rows, w.Cols, p)
}

func (o product) backward(in gorgonia.Nodes, out, dy *Node) (gorgonia.Nodes, error) {
	x, w := in[0], in[1]
	dw, err := Apply(weightGrad(o.in, o.bf16), x, dy, w)
	if err != nil {
		return nil, err
	}
	dx, err := Apply(inputGrad(o.in, o.bf16), dy, w)
	if err != nil {
		return nil, err
	}
	grads := gorgonia.Nodes{dx, dw}
	if o.bias {
		db, err := Apply(biasGrad(), dy, in[2])
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

func (o product) onnx(x *ONNX) string {
	in := []string{x.In(0), x.Matrix(1)}
	if o.bias {
		in = append(in, x.In(2))
	}
	var attributes []Attribute
	if !o.in {
		attributes = append(attributes, Attr("transB", 1))
	}
	y := x.Node("Gemm", in, attributes...)
	if o.residual {
		y = x.Add(x.In(x.Len()-1), y)
	}
	return y
}

// inputGrad is dx of linear: dy · w, or dy · wᵀ for in; operands dy, w.
func inputGrad(in, bf16 bool) *Op {
	op := &Op{
		Name: fmt.Sprintf("LinearBackward(in %t bf16 %t)", in, bf16),
		Shape: func(s []tensor.Shape) (tensor.Shape, error) {
			n, _ := MatrixShape(s[0])
			m, e := MatrixShape(s[1])
			if in {
				return tensor.Shape{n, m}, nil
			}
			return tensor.Shape{n, e}, nil
		},
		Run:       func(c *Call) { c.multiply(kernel.Product{TransB: in, BF16: bf16, Accumulate: c.Add}) },
		Adds:      CanAdd,
		Stored:    []int{1},
		ReadsBF16: []int{0},
		FLOPs: func(s []tensor.Shape, out tensor.Shape) int64 {
			_, inner := MatrixShape(s[0])
			return productFLOPs(out, inner)
		},
	}
	if bf16 {
		op.Rounds = []int{0}
	}
	return op
}

// weightGrad is dw [M, E] of linear: dyᵀ · x, or xᵀ · dy for in; operands x, dy and the
// weight, for its shape only.
func weightGrad(in, bf16 bool) *Op {
	op := &Op{
		Name:  fmt.Sprintf("LinearGrad(in %t bf16 %t)", in, bf16),
		Shape: sameShape(2),
		Run: func(c *Call) {
			a, b := c.In[1].mat(), c.In[0].mat()
			if in {
				a, b = b, a
			}
			kernel.MatMul(c.Pool, c.mat(), a, b, kernel.Product{TransA: true, BF16: bf16, Accumulate: c.Add})
		},
		Adds:      CanAdd,
		Stored:    []int{2},
		ReadsBF16: []int{0, 1},
		FLOPs: func(s []tensor.Shape, out tensor.Shape) int64 {
			n, _ := MatrixShape(s[0])
			return productFLOPs(out, n)
		},
	}
	if bf16 {
		op.Rounds = []int{0, 1}
	}
	return op
}

// biasGrad is the sum of dy over its rows; operands dy and the bias.
func biasGrad() *Op {
	return &Op{
		Name:  "BiasGrad",
		Shape: sameShape(1),
		Run:   func(c *Call) { kernel.BiasGrad(c.Pool, c.Out, c.In[0].F, c.In[0].Rows, c.In[0].Cols) },
		Adds:  AlwaysAdds,
	}
}
