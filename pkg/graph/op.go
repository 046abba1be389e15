package graph

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Node is a value in the graph.
type Node = gorgonia.Node

// kernelOp is what an operation says of itself; the adapter makes a
// gorgonia.Op of it. Optional further abilities are the interfaces below.
type kernelOp interface {
	// name identifies the operation with every attribute: nodes of equal name
	// and operands are merged.
	name() string
	// shape is the output's shape; an error when the operands do not fit. An
	// empty shape is a scalar.
	shape(in []tensor.Shape) (tensor.Shape, error)
	// run computes the output.
	run(c *call)
}

// saver is an operation that keeps float32 values beside its output for the
// backward pass (row statistics, log-sum-exp).
type saver interface {
	saved(in []tensor.Shape) int // number of values
}

// savedReader is an operation that reads what input i saved, and says whether
// it reads the input's output as well.
type savedReader interface{ readsSaved() (i int, output bool) }

// overwriter is an operation whose output may take the memory of input i.
type overwriter interface{ overwrites() int }

// viewer is an operation that computes nothing: its output is the part of what
// input 0 saved that begins at the returned offset.
type viewer interface{ view(in []tensor.Shape) int }

// adder is an operation that can add to its output instead of overwriting it
// (call.add). One that always adds is given zeroed memory otherwise.
type adder interface{ alwaysAdds() bool }

// deposit is an operation that computes nothing: operation input 0 made the
// gradient of its own operand `of` on the way, straight at the destination.
type deposit interface{ of() int }

// flopper is an operation with matrix products: multiply-adds count two.
type flopper interface {
	flops(in []tensor.Shape, out tensor.Shape) int64
}

// differentiable is an operation with gradients. backward returns one node an
// operand, nil where diffs is false.
type differentiable interface {
	diffs(n int) []bool
	backward(in gorgonia.Nodes, out, dout *Node) (gorgonia.Nodes, error)
}

// call is an operation bound to its memory.
type call struct {
	pool       *kernel.Pool
	out        []float32
	rows, cols int // of out
	saved      []float32
	in         []operand
	add        bool // add to out
	// deposits has, for each operand, where its gradient is to be added during
	// this run; nil where nobody wants it.
	deposits [][]float32
}

// operand is one input of a call.
type operand struct {
	f          []float32
	rows, cols int       // of f: all but the last dimension, and the last
	saved      []float32 // what the operation that made f saved
	ids        []int32   // instead of f, for integer inputs
}

func (o operand) mat() kernel.Matrix { return kernel.Mat(o.f, o.rows, o.cols) }

func (c *call) mat() kernel.Matrix { return kernel.Mat(c.out, c.rows, c.cols) }

// adapter makes a gorgonia.Op of a kernelOp for operands of known types.
type adapter struct {
	kernelOp
	types []hm.Type // operands, then the output
	out   tensor.Shape
}

// apply adds a node for the operation to the operands' graph.
func apply(op kernelOp, in ...*Node) (*Node, error) {
	shapes := make([]tensor.Shape, len(in))
	types := make([]hm.Type, len(in)+1)
	for i, n := range in {
		if n == nil {
			return nil, fmt.Errorf("graph: %s: operand %d is missing", op.name(), i)
		}
		shapes[i], types[i] = n.Shape(), n.Type()
	}
	out, err := op.shape(shapes)
	if err != nil {
		return nil, fmt.Errorf("graph: %s of %v: %w", op.name(), shapes, err)
	}
	types[len(in)] = floatType(len(out))
	n, err := gorgonia.ApplyOp(&adapter{op, types, out}, in...)
	if err != nil {
		return nil, fmt.Errorf("graph: %s of %v: %w", op.name(), shapes, err)
	}
	return n, nil
}

func floatType(dims int) hm.Type {
	if dims == 0 {
		return tensor.Float32
	}
	return gorgonia.TensorType{Dims: dims, Of: tensor.Float32}
}

// errMachine is what the stock machines get: values that operations save for
// the backward pass exist only in this package's Machine.
var errMachine = errors.New("graph: this operation runs in graph.Machine only")

func (a *adapter) Arity() int { return len(a.types) - 1 }

func (a *adapter) Type() hm.Type { return hm.NewFnType(append([]hm.Type(nil), a.types...)...) }

func (a *adapter) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return a.out.Clone(), nil }

func (a *adapter) Do(...gorgonia.Value) (gorgonia.Value, error) { return nil, errMachine }

func (a *adapter) ReturnsPtr() bool      { return true }
func (a *adapter) CallsExtern() bool     { return false }
func (a *adapter) OverwritesInput() int  { return -1 }
func (a *adapter) String() string        { return a.name() }
func (a *adapter) WriteHash(h hash.Hash) { fmt.Fprint(h, a.name()) }

func (a *adapter) Hashcode() uint32 {
	h := fnv.New32a()
	a.WriteHash(h)
	return h.Sum32()
}

// DiffWRT implements gorgonia.SDOp.
func (a *adapter) DiffWRT(n int) []bool {
	if d, ok := a.kernelOp.(differentiable); ok {
		return d.diffs(n)
	}
	return make([]bool, n)
}

// SymDiff implements gorgonia.SDOp.
func (a *adapter) SymDiff(in gorgonia.Nodes, out, dout *Node) (gorgonia.Nodes, error) {
	d, ok := a.kernelOp.(differentiable)
	if !ok {
		return nil, fmt.Errorf("graph: %s has no gradient", a.name())
	}
	return d.backward(in, out, dout)
}

var _ gorgonia.SDOp = (*adapter)(nil)

// kernelOf is the operation of a node of this package, nil for others.
func kernelOf(n *Node) kernelOp {
	if a, ok := n.Op().(*adapter); ok {
		return a.kernelOp
	}
	return nil
}

func allTrue(n int) []bool {
	d := make([]bool, n)
	for i := range d {
		d[i] = true
	}
	return d
}

// rows views a shape as a matrix: all but the last dimension, and the last.
func rows(s tensor.Shape) (n, width int) {
	if len(s) == 0 {
		return 1, 1
	}
	width = s[len(s)-1]
	if width == 0 {
		return 0, 0
	}
	return s.TotalSize() / width, width
}
