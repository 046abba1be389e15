package graph

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Node is a value in the graph.
type Node = gorgonia.Node

// Op is an operation: one literal says all there is to know about it. Only Name, Shape
// and Run are required. Builder.Apply makes a node of it, and the machine plans its
// memory by what it says here. Functions that take shapes get the operands' in order.
//
//	double := &graph.Op{
//		Name:       "Double",
//		Shape:      func(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil },
//		Run:        func(c *graph.Call) { kernel.Scale(c.Pool, c.Out, c.In[0].F, 2) },
//		Overwrites: []int{0},
//	}
//	y := b.Apply(double, x)
type Op struct {
	// Name identifies the operation with every attribute, as in "RMSNorm(1e-05)": nodes
	// of equal name and operands are merged. What stands before "(" is shown to people.
	Name string
	// Shape is the output's shape, an error when the operands do not fit. An empty
	// shape is a scalar.
	Shape func(in []tensor.Shape) (tensor.Shape, error)
	// Run computes the output. It may be nil for a View.
	Run func(c *Call)
	// Backward returns the gradient of each operand, nil for those of NoGradient. nil:
	// the operation has no gradient.
	Backward func(in gorgonia.Nodes, out, dout *Node) (gorgonia.Nodes, error)
	// NoGradient lists the operands without a gradient: token ids, targets.
	NoGradient []int

	// Saves is the number of float32 values that Run keeps beside the output for the
	// backward pass (row statistics, log-sum-exp), in one or several parts.
	Saves func(in []tensor.Shape) []int
	// SavedOf lists the operands of which it reads what they saved.
	SavedOf []int
	// Unread lists the operands whose output it does not read, only what they saved.
	Unread []int
	// Stored lists the operands that it reads as they are stored, or reads nothing of but
	// the shape: parameters of 16 or 8 bits (Operand.BF16 and Q8, with F nil).
	Stored []int
	// Narrow says whether the output can be stored as bfloat16, in Call.BF16 with Out nil.
	Narrow Narrow
	// ReadsBF16 lists the operands that it takes as bfloat16 too: in Operand.BF16, with F nil.
	ReadsBF16 []int
	// Rounds lists those of which it uses every value rounded to bfloat16 only, as products
	// of bfloat16 do.
	Rounds []int
	// Scratch is the number of float32 values that Run needs while it runs.
	Scratch func(in []tensor.Shape) int
	// Overwrites lists operands whose memory the output may take; it takes that of the
	// first which nothing else needs any longer.
	Overwrites []int
	// Adds says whether Run can add to its output instead of overwriting it.
	Adds Adds
	// Deposits lists operands whose gradients Run itself adds, to Call.Deposits; with
	// Call.Fresh it overwrites that of the first. Backward stands a Deposit for each.
	Deposits []int
	// View makes the output something that operand 0 has made already.
	View View
	// Purpose is what the output's memory is for; the default follows from the pass
	// that the operation belongs to.
	Purpose Purpose

	// Light is set where the output is cheap to compute again: no product.
	Light bool
	// FLOPs counts the operations of matrix products, a multiply-add as two; nil is 0.
	FLOPs func(in []tensor.Shape, out tensor.Shape) int64
	// IDs says which operand has integers, and their range; nil for none.
	IDs func(in []tensor.Shape) IDs
	// ONNX writes the operation's ONNX form and returns the name of its value; nil where
	// there is none, as for gradients.
	ONNX func(x *ONNX) string
	// Check fails when state outside of the graph does not fit; it is called before
	// every run.
	Check func(c *Call) error
}

// Adds says whether an operation adds to its output or overwrites it.
type Adds uint8

// Ways to write an output.
const (
	Overwrites Adds = iota // always overwrites
	CanAdd                 // adds where Call.Add is set
	AlwaysAdds             // adds; the machine clears the output before where that is needed
)

// Narrow says how an operation's output may be stored.
type Narrow uint8

// Ways to store an output.
const (
	Float32  Narrow = iota // as float32
	CanRound               // also as bfloat16, where it is read only rounded
	Rounded                // its values are those of bfloat16 in any case (Call.Rounded): as that, where all who read it can
)

// View is an output that operand 0 has made; the operation computes nothing.
type View struct {
	Kind  ViewKind
	Index int // the part, or the operand of operand 0
}

// ViewKind is what a View shows.
type ViewKind uint8

// Kinds of views.
const (
	NoView    ViewKind = iota // the output is what Run computes
	SavedPart                 // part Index of what operand 0 saved
	Deposit                   // the gradient of operand 0's own operand Index, one of its Deposits
)

// IDs is the range of an operand of integers: at least Lo, below Hi.
type IDs struct {
	Operand int
	Lo, Hi  int32
}

// noGradient reports whether operand i has no gradient.
func (o *Op) noGradient(i int) bool { return o.Backward == nil || has(o.NoGradient, i) }

func has(list []int, i int) bool {
	for _, x := range list {
		if x == i {
			return true
		}
	}
	return false
}

// MatrixShape views a shape as a matrix: all but the last dimension, and the last.
func MatrixShape(s tensor.Shape) (rows, cols int) {
	if len(s) == 0 {
		return 1, 1
	}
	cols = s[len(s)-1]
	if cols == 0 {
		return 0, 0
	}
	return s.TotalSize() / cols, cols
}

// sameShape is the Shape of operations whose output has the shape of operand i.
func sameShape(i int) func([]tensor.Shape) (tensor.Shape, error) {
	return func(in []tensor.Shape) (tensor.Shape, error) { return in[i].Clone(), nil }
}
