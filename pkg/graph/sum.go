package graph

import (
	"reflect"
	"sync"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// isSum reports whether n is Gorgonia's own sum of two float32 values of one shape,
// which is how it adds up gradients: its operation is the one that gorgonia.Add makes
// for values of their type.
func isSum(n *Node, in []*Node) bool {
	if n.Op() == nil || len(in) != 2 || kernelOf(n) != nil {
		return false
	}
	for _, o := range in {
		if o.Dtype() != tensor.Float32 || !o.Shape().Eq(n.Shape()) {
			return false
		}
	}
	return is(n, additions())
}

// isArithmetic reports whether n is one of Gorgonia's own +, -, · and / of two values of
// n's shape, value by value.
func isArithmetic(n *Node, in []*Node) bool {
	if len(in) != 2 || !in[0].Shape().Eq(n.Shape()) || !in[1].Shape().Eq(n.Shape()) {
		return false
	}
	return is(n, additions()) || is(n, subtractions()) || is(n, products()) || is(n, quotients())
}

// is reports whether n's operation is among these, by its number of dimensions.
func is(n *Node, ops []gorgonia.Op) bool {
	dims := len(n.Shape())
	return dims < len(ops) && reflect.DeepEqual(n.Op(), ops[dims])
}

// The operations that Gorgonia makes of two float32 values of one shape, by their number
// of dimensions.
var (
	additions    = sync.OnceValue(func() []gorgonia.Op { return made(gorgonia.Add) })
	subtractions = sync.OnceValue(func() []gorgonia.Op { return made(gorgonia.Sub) })
	products     = sync.OnceValue(func() []gorgonia.Op { return made(gorgonia.HadamardProd) })
	quotients    = sync.OnceValue(func() []gorgonia.Op { return made(gorgonia.HadamardDiv) })
)

func made(f func(x, y *Node) (*Node, error)) (ops []gorgonia.Op) {
	g := gorgonia.NewGraph()
	for dims := range 5 {
		input := func(name string) *Node {
			if dims == 0 {
				return gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName(name))
			}
			shape := make([]int, dims)
			for i := range shape {
				shape[i] = 2
			}
			return gorgonia.NewTensor(g, tensor.Float32, dims, gorgonia.WithShape(shape...), gorgonia.WithName(name))
		}
		ops = append(ops, gorgonia.Must(f(input("x"), input("y"))).Op())
	}
	return ops
}
