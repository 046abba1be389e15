package graph

import (
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

// differentiable is an operation with gradients. diffs says for each of n
// operands whether it has one; backward returns one node an operand, nil where
// diffs is false.
type differentiable interface {
	diffs(n int) []bool
	backward(in gorgonia.Nodes, out, dout *Node) (gorgonia.Nodes, error)
}

// saver is an operation that keeps float32 values beside its output for the
// backward pass (row statistics, log-sum-exp), in one or several parts.
type saver interface {
	saved(in []tensor.Shape) []int // number of values of each part
}

// scratcher is an operation that needs memory while it runs.
type scratcher interface {
	scratch(in []tensor.Shape) int // number of values
}

// savedReader is an operation that reads what operand i saved, and says whether
// it reads the operand's output as well.
type savedReader interface{ readsSaved() (i int, output bool) }

// viewer is an operation that computes nothing: its output is a part of what
// operand 0 saved.
type viewer interface{ view() (part int) }

// overwriter is an operation whose output may take the memory of one of these
// operands, the first that nobody needs any longer.
type overwriter interface{ overwrites() []int }

// adder is an operation that can add to its output instead of overwriting it
// (call.add). One that always adds is given zeroed memory otherwise.
type adder interface{ alwaysAdds() bool }

// deposit is an operation that computes nothing: operand 0, a loss, adds the
// gradient of its own operand `of` on the way, straight at the destination.
type deposit interface{ of() int }

// flopper is an operation with matrix products: a multiply-add counts two.
type flopper interface {
	flops(in []tensor.Shape, out tensor.Shape) int64
}

// light is an operation whose output is cheap to compute again: no product.
type light interface{ light() }

// checker is an operation with state outside the graph that must fit before a run.
type checker interface{ check(c *call) error }

// ranged is an operation with integer operand i whose values must be at least
// lo and below hi.
type ranged interface {
	intRange(in []tensor.Shape) (i int, lo, hi int32)
}

// call is an operation bound to its memory.
type call struct {
	pool       *kernel.Pool
	out        []float32
	rows, cols int         // of out
	saved      [][]float32 // parts of what it saves
	scratch    []float32
	in         []operand
	add        bool // add to out
	// deposits has, for each operand, where its gradient is to be added during
	// this run; nil where nobody wants it.
	deposits [][]float32
	fresh    bool  // the deposit of operand 1 overwrites
	err      error // what went wrong in the last run
}

// operand is one input of a call.
type operand struct {
	f          []float32
	half       []uint16    // of a parameter: its bfloat16 copy, if there is one
	rows, cols int         // of f: all but the last dimension, and the last
	saved      [][]float32 // what the operation that made f saved
	ids        []int32     // instead of f, for integer inputs
	value      *stockValue // beside f, for what Gorgonia's own operations made
}

func (o operand) mat() kernel.Matrix { return kernel.Mat(o.f, o.rows, o.cols) }

func (c *call) mat() kernel.Matrix { return kernel.Mat(c.out, c.rows, c.cols) }

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
