package graph

import (
	"reflect"

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
	want := sums[len(in[0].Shape())]
	return want != nil && reflect.DeepEqual(n.Op(), want)
}

// sums are Gorgonia's additions by number of dimensions, as far as it has tensors.
var sums = func() (ops [5]gorgonia.Op) {
	g := gorgonia.NewGraph()
	for dims := range ops {
		shape := make([]int, dims)
		for i := range shape {
			shape[i] = 2
		}
		x := gorgonia.NewTensor(g, tensor.Float32, dims, gorgonia.WithShape(shape...), gorgonia.WithName("x"))
		y := gorgonia.NewTensor(g, tensor.Float32, dims, gorgonia.WithShape(shape...), gorgonia.WithName("y"))
		if dims == 0 {
			x, y = gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("x")), gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("y"))
		}
		ops[dims] = gorgonia.Must(gorgonia.Add(x, y)).Op()
	}
	return ops
}()
