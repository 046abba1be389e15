package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stock runs an operation of Gorgonia's own, through its Do.
type stock struct{ n *Node }

func (s stock) name() string                               { return s.n.Op().String() }
func (s stock) shape([]tensor.Shape) (tensor.Shape, error) { return s.n.Shape(), nil }

func (s stock) run(c *call) {
	in := make([]gorgonia.Value, len(c.in))
	i := 0
	for it := s.n.Graph().From(s.n.ID()); it.Next(); i++ {
		o := it.Node().(*Node)
		if o.IsScalar() {
			in[i] = gorgonia.NewF32(c.in[i].f[0])
		} else {
			in[i] = tensor.New(tensor.WithShape(o.Shape()...), tensor.WithBacking(c.in[i].f))
		}
	}
	v, err := s.n.Op().Do(in...)
	if err != nil {
		panic(fmt.Sprintf("graph: %s: %v", s.n.Name(), err))
	}
	f, err := float32s(v)
	if err != nil {
		panic(err.Error())
	}
	copy(c.out, f)
}

// float32s is the values of a float32 scalar or tensor.
func float32s(v gorgonia.Value) ([]float32, error) {
	switch d := v.Data().(type) {
	case float32:
		return []float32{d}, nil
	case []float32:
		return d, nil
	}
	return nil, fmt.Errorf("graph: value of type %v, expected float32", v.Dtype())
}
