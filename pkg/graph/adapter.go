package graph

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// adapter makes a gorgonia.Op of an Op for operands of known types. It is
// an SDOp: operations from outside Gorgonia cannot be an ADOp.
type adapter struct {
	*Op
	types []hm.Type // operands, then the output
	out   tensor.Shape
	// grads is the half-open range of the IDs of the nodes that SymDiff made.
	grads [2]int64
}

// Apply adds a node for the operation to the operands' graph. It is what an
// operation's Backward makes its nodes with; graphs grow with Builder.Apply.
func Apply(op *Op, in ...*Node) (*Node, error) {
	if op.Name == "" || op.Shape == nil || op.Run == nil && op.View.Kind == NoView {
		return nil, fmt.Errorf("graph: operation %q needs a name, a shape and what it runs", op.Name)
	}
	shapes := make([]tensor.Shape, len(in))
	types := make([]hm.Type, len(in)+1)
	for i, n := range in {
		if n == nil {
			return nil, fmt.Errorf("graph: %s: operand %d is missing", op.Name, i)
		}
		shapes[i], types[i] = n.Shape(), n.Type()
	}
	if op.IDs != nil {
		if i := op.IDs(shapes).Operand; in[i].Dtype() != tensor.Int32 {
			return nil, fmt.Errorf("graph: %s: operand %d is %v, expected integers", op.Name, i, in[i].Dtype())
		}
	}
	out, err := op.Shape(shapes)
	if err != nil {
		return nil, fmt.Errorf("graph: %s of %v: %w", op.Name, shapes, err)
	}
	types[len(in)] = floatType(len(out))
	n, err := gorgonia.ApplyOp(&adapter{Op: op, types: types, out: out}, in...)
	if err != nil {
		return nil, fmt.Errorf("graph: %s of %v: %w", op.Name, shapes, err)
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
func (a *adapter) String() string        { return a.Name }
func (a *adapter) WriteHash(h hash.Hash) { fmt.Fprint(h, a.Name) }

func (a *adapter) Hashcode() uint32 {
	h := fnv.New32a()
	a.WriteHash(h)
	return h.Sum32()
}

// DiffWRT implements gorgonia.SDOp.
func (a *adapter) DiffWRT(n int) []bool {
	d := make([]bool, n)
	for i := range d {
		d[i] = !a.noGradient(i)
	}
	return d
}

// SymDiff implements gorgonia.SDOp.
func (a *adapter) SymDiff(in gorgonia.Nodes, out, dout *Node) (gorgonia.Nodes, error) {
	if a.Backward == nil {
		return nil, fmt.Errorf("graph: %s has no gradient", a.Name)
	}
	a.grads[0] = nextID(out.Graph())
	grads, err := a.Backward(in, out, dout)
	a.grads[1] = nextID(out.Graph())
	return grads, err
}

var _ gorgonia.SDOp = (*adapter)(nil)

// nextID is the ID that the next node of the graph gets.
func nextID(g *gorgonia.ExprGraph) int64 {
	all := g.AllNodes()
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].ID() + 1
}

// kernelOf is the operation of a node of this package, nil for others.
func kernelOf(n *Node) *Op {
	if a, ok := n.Op().(*adapter); ok {
		return a.Op
	}
	return nil
}
