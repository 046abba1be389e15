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

// set takes the value of this run; f is the machine's memory for it, which it may lie in
// already.
func (s *stockValue) set(v gorgonia.Value, f []float32) error {
	s.v, s.copied = v, false
	got := contiguous(v)
	if len(got) == len(f) && len(f) > 0 {
		if &got[0] != &f[0] {
			copy(f, got)
		}
		s.copied = true
	} else if s.needed {
		return fmt.Errorf("graph: %s is %v of shape %v, expected float32", s.node.Name(), v.Dtype(), v.Shape())
	}
	return nil
}

// contiguous is the values of v, row-major; nil where they are not float32.
func contiguous(v gorgonia.Value) []float32 {
	if t, ok := v.(tensor.Tensor); ok && t.RequiresIterator() {
		v = tensor.Materialize(t).(gorgonia.Value)
	}
	switch d := v.Data().(type) {
	case float32:
		return []float32{d}
	case []float32:
		return d
	}
	return nil
}

// foreignLeaf is an input or constant of a graph that this package did not build:
// its value is read from the node in every run. Where only Gorgonia's own operations read it,
// they read it where it is.
type foreignLeaf struct {
	value *stockValue
	f     []float32
}

func (l foreignLeaf) read() error {
	v := l.value.node.Value()
	if v == nil {
		return fmt.Errorf("graph: input %q has no value", l.value.node.Name())
	}
	if !l.value.needed {
		l.value.v, l.value.copied = v, false
		return nil
	}
	return l.value.set(v, l.f)
}

// stock runs an operation of Gorgonia's own.
type stock struct {
	n       *Node
	kind    stockKind
	out     *stockValue
	nodes   []*Node          // operands
	views   []gorgonia.Value // of the machine's memory, kept between runs
	in      []gorgonia.Value // operands of this run
	dst     gorgonia.Value   // view of the output's memory
	scalars []*gorgonia.F32  // views of operands that are one number
}

// stockOp is the operation of a node of Gorgonia's own.
func stockOp(n *Node, in []*Node, out *stockValue) *Op {
	s := &stock{n: n, kind: kindOf(n, in), out: out, nodes: in}
	return &Op{
		Name:       n.Op().String(),
		Shape:      func([]tensor.Shape) (tensor.Shape, error) { return n.Shape(), nil },
		Run:        func(c *Call) { c.Err = s.run(c) },
		Overwrites: s.kind.overwrites(n, in),
	}
}

// bind makes the views of memory, once.
func (s *stock) bind(c *Call) {
	s.in, s.views = make([]gorgonia.Value, len(c.In)), make([]gorgonia.Value, len(c.In))
	s.scalars = make([]*gorgonia.F32, len(c.In))
	for i, n := range s.nodes {
		if c.In[i].F != nil {
			s.views[i] = view(n, c.In[i].F)
			s.scalars[i], _ = s.views[i].(*gorgonia.F32)
		}
	}
	if s.kind != stockOther {
		s.dst = view(s.n, c.Out)
	}
}

func (s *stock) run(c *Call) error {
	if s.in == nil {
		s.bind(c)
	}
	for i := range c.In {
		o := &c.In[i]
		s.in[i] = s.views[i]
		if o.value != nil && !o.value.copied {
			s.in[i] = o.value.v
		} else if s.scalars[i] != nil {
			*s.scalars[i] = gorgonia.F32(o.F[0])
		}
	}
	v, err := s.do(c)
	if err != nil {
		return err
	}
	return s.out.set(v, c.Out)
}

// do computes the value, in the machine's memory where the operation can.
func (s *stock) do(c *Call) (gorgonia.Value, error) {
	op := s.n.Op()
	switch s.kind {
	case stockReuses, stockBinary:
		if v, err := op.(gorgonia.UsePreallocDoer).UsePreallocDo(s.dst, s.in...); err == nil {
			return v, nil
		}
	case stockUnary:
		if x := contiguous(s.in[0]); len(x) == len(c.Out) && len(x) > 0 {
			if &x[0] != &c.Out[0] {
				copy(c.Out, x)
			}
			return op.(gorgonia.UnsafeDoer).UnsafeDo(s.dst)
		}
	}
	return op.Do(s.in...)
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
