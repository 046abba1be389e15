package graph

import (
	"reflect"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stockKind says what is known of an operation of Gorgonia's own.
type stockKind uint8

const (
	stockOther  stockKind = iota // only its Do, which makes a new value
	stockReuses                  // writes all of a tensor that it is given
	stockBinary                  // the same, value by value: it may be that of its first operand
	stockUnary                   // overwrites its operand, value by value
)

// stockKinds are the operations that a machine runs without new values, by their types,
// which are not exported: those of examples. Others could be added where reading Gorgonia's
// source shows that they write all of the tensor and read none of it.
var stockKinds = func() map[reflect.Type]stockKind {
	g := gorgonia.NewGraph()
	matrix := func(name string) *Node {
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName(name))
	}
	x, y := matrix("x"), matrix("y")
	p := gorgonia.Must(gorgonia.SoftMax(x))
	grads, err := gorgonia.Grad(gorgonia.Must(gorgonia.Sum(p)), x)
	if err != nil {
		panic(err) // a graph of constants
	}
	kinds := map[reflect.Type]stockKind{}
	for n, kind := range map[*Node]stockKind{
		gorgonia.Must(gorgonia.Add(x, y)): stockBinary,
		gorgonia.Must(gorgonia.Tanh(x)):   stockUnary,
		gorgonia.Must(gorgonia.Mul(x, y)): stockReuses,
		p:                                 stockReuses,
		grads[0]:                          stockReuses,
	} {
		kinds[reflect.TypeOf(n.Op())] = kind
	}
	return kinds
}()

// kindOf is the kind of n's operation on these operands: Gorgonia's tensors only where
// all are float32 tensors.
func kindOf(n *Node, in []*Node) stockKind {
	for _, o := range append([]*Node{n}, in...) {
		if o.IsScalar() || o.Dtype() != tensor.Float32 {
			return stockOther
		}
	}
	return stockKinds[reflect.TypeOf(n.Op())]
}

// overwrites are operands whose memory the output may take.
func (k stockKind) overwrites(n *Node, in []*Node) []int {
	if k == stockUnary || k == stockBinary && isArithmetic(n, in) {
		return []int{0}
	}
	return nil
}
