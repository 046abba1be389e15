package graph

import (
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestIsSum: Gorgonia's sum of values of one shape, by what the operation is.
func TestIsSum(t *testing.T) {
	g := gorgonia.NewGraph()
	input := func(name string, of tensor.Dtype, shape ...int) *Node {
		if len(shape) == 0 {
			return gorgonia.NewScalar(g, of, gorgonia.WithName(name))
		}
		return gorgonia.NewTensor(g, of, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	m := func(n *Node, err error) *Node { t.Helper(); ok(t, err); return n }
	f := tensor.Float32
	a, b, s := input("a", f, 2, 3), input("b", f, 2, 3), input("s", f)
	ours := m(Apply(scale(2), a))
	for name, c := range map[string]struct {
		n    *Node
		want bool
	}{
		"matrices":          {m(gorgonia.Add(a, b)), true},
		"of ours":           {m(gorgonia.Add(ours, b)), true},
		"vectors":           {m(gorgonia.Add(input("v", f, 4), input("w", f, 4))), true},
		"scalars":           {m(gorgonia.Add(s, input("r", f))), true},
		"a difference":      {m(gorgonia.Sub(a, b)), false},
		"a product":         {m(gorgonia.HadamardProd(a, b)), false},
		"plus a scalar":     {m(gorgonia.Add(a, s)), false},
		"float64":           {m(gorgonia.Add(input("c", tensor.Float64, 2), input("d", tensor.Float64, 2))), false},
		"our own operation": {m(Apply(add(), a, b)), false},
		"an input":          {a, false},
	} {
		if got := isSum(c.n, operands(g, c.n)); got != c.want {
			t.Errorf("%s: %t, expected %t", name, got, c.want)
		}
	}
}
