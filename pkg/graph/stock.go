package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// stockValue is what a leaf or an operation of Gorgonia's own has produced. It
// may be of any type; float32 values are copied to the machine's memory.
type stockValue struct {
	node   *Node
	v      gorgonia.Value
	copied bool
	needed bool // by something that reads float32 only
}

// set takes the value of this run; f is the machine's memory for it.
func (s *stockValue) set(v gorgonia.Value, f []float32) error {
	s.v, s.copied = v, false
	var got []float32
	switch d := v.Data().(type) {
	case float32:
		got = []float32{d}
	case []float32:
		got = d
	}
	if len(got) == len(f) && len(f) > 0 {
		copy(f, got)
		s.copied = true
	} else if s.needed {
		return fmt.Errorf("graph: %s is %v of shape %v, expected float32", s.node.Name(), v.Dtype(), v.Shape())
	}
	return nil
}

// foreignLeaf is an input or constant of a graph that this package did not build:
// its value is read from the node in every run.
type foreignLeaf struct {
	value *stockValue
	f     []float32
}

func (l foreignLeaf) read() error {
	v := l.value.node.Value()
	if v == nil {
		return fmt.Errorf("graph: input %q has no value", l.value.node.Name())
	}
	return l.value.set(v, l.f)
}

// stock runs an operation of Gorgonia's own, through its Do, which allocates.
type stock struct {
	n   *Node
	out *stockValue
	in  []gorgonia.Value // kept between runs
}

// stockOp is the operation of a node of Gorgonia's own.
func stockOp(n *Node, out *stockValue) *Op {
	s := &stock{n: n, out: out}
	return &Op{
		Name:  n.Op().String(),
		Shape: func([]tensor.Shape) (tensor.Shape, error) { return n.Shape(), nil },
		Run:   s.run,
	}
}

func (s *stock) run(c *Call) {
	if s.in == nil {
		s.in = make([]gorgonia.Value, len(c.In))
		for i, n := range operands(s.n.Graph(), s.n) {
			s.in[i] = view(n, c.In[i].F)
		}
	}
	in := s.in
	for i, o := range c.In {
		if scalar, ok := in[i].(*gorgonia.F32); ok {
			*scalar = gorgonia.F32(o.F[0])
		}
	}
	for i, o := range c.In {
		if o.value != nil && !o.value.copied {
			in = append([]gorgonia.Value(nil), in...)
			in[i] = o.value.v
		}
	}
	v, err := s.n.Op().Do(in...)
	if err == nil {
		err = s.out.set(v, c.Out)
	}
	c.Err = err
}

// UseBLAS has Gorgonia's own operations, on any machine of the process, multiply
// with b; see pkg/kernel/blas.
func UseBLAS(b gorgonia.BLAS) { gorgonia.Use(b) }

// view is memory as Gorgonia's operations take it.
func view(n *Node, f []float32) gorgonia.Value {
	if n.IsScalar() {
		return gorgonia.NewF32(0)
	}
	return tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(f))
}
