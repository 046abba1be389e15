package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/internal/onnx"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// Sequence is the name of the dimension of an ONNX input along which tokens may be
// any number.
const Sequence = "sequence"

// ONNXOptions say how a graph becomes an ONNX file.
type ONNXOptions struct {
	Name  string
	DType string // of matrices: F32 or F16; vectors stay F32
	// Inputs are the file's, by the name of the graph's input. Dimensions with names are
	// chosen by callers, whatever the graph was built for: the first, of sequences or
	// images, and one named Sequence.
	Inputs map[string]onnx.Value
	// Tokens is the tokens a sequence that the graph was built for, where an input has a
	// dimension named Sequence.
	Tokens int
	// Output is the output that the file computes; it gets the same name and these dimensions.
	Output string
	Dims   []onnx.Dim
}

// ErrONNX is returned for graphs with operations that have no ONNX form.
var ErrONNX = errors.New("graph: no ONNX form")

// ONNX lowers the graph to an ONNX graph that computes one of its outputs: each
// operation writes its own form (Op.ONNX). The weights are read when the file is written.
func (b *Builder) ONNX(o ONNXOptions) (*onnx.Graph, error) {
	if b.err != nil {
		return nil, b.err
	}
	w := &onnxWriter{b: b, o: o, g: &onnx.Graph{Name: o.Name}, made: map[*Node]string{}, shared: map[string]string{}}
	for _, out := range b.outputs {
		if out.name != o.Output {
			continue
		}
		x, err := w.value(out.node)
		if err != nil {
			return nil, err
		}
		if _, width := MatrixShape(out.node.Shape()); len(o.Dims) > 2 {
			x = (&ONNX{w: w}).Split3(x, o.Tokens, width)
		}
		last := w.g.Nodes[len(w.g.Nodes)-1]
		if last.Out[0] != x {
			return nil, fmt.Errorf("%w: output %q is an input", ErrONNX, o.Output)
		}
		last.Out[0] = o.Output
		w.g.Outputs = []onnx.Value{{Name: o.Output, Type: onnx.Float, Dims: o.Dims}}
		return w.g, nil
	}
	return nil, fmt.Errorf("graph: the graph has no output %q", o.Output)
}

// onnxWriter grows an ONNX graph. Values of the graph are matrices of rows, as
// they are here; what depends on the number of sequences or tokens is computed by the file.
type onnxWriter struct {
	b        *Builder
	o        ONNXOptions
	g        *onnx.Graph
	made     map[*Node]string  // values, as float32
	shared   map[string]string // values that are made once, by what they are
	sequence string            // tokens a sequence, a list of one; "" where fixed
	length   string            // the same as a scalar
}

// value is the name of a node's value, made if it is not there yet.
func (w *onnxWriter) value(n *Node) (string, error) {
	if v, ok := w.made[n]; ok {
		return v, nil
	}
	v, err := w.make(n)
	if err != nil {
		return "", err
	}
	w.made[n] = v
	return v, nil
}

func (w *onnxWriter) make(n *Node) (string, error) {
	in := operands(w.b.g, n)
	if len(in) == 0 {
		return w.leaf(n)
	}
	op := kernelOf(n)
	if isSum(n, in) {
		op = sum
	}
	if op == nil || op.ONNX == nil {
		return "", fmt.Errorf("%w: operation %s", ErrONNX, n.Op())
	}
	x := &ONNX{w: w, in: in}
	for _, o := range in {
		if _, ok := w.block(o); ok {
			x.names = append(x.names, "") // made when asked for: some operations read it in part
			continue
		}
		v, err := w.value(o)
		if err != nil {
			return "", err
		}
		x.names = append(x.names, v)
	}
	out := op.ONNX(x)
	return out, x.err
}

// block is the parameters that a node stands for.
func (w *onnxWriter) block(n *Node) (paramLeaf, bool) {
	p, ok := w.b.params[n.Name()]
	return p, ok && p.node == n
}

// leaf is an input, as the graph has it: a list of ids, or rows.
func (w *onnxWriter) leaf(n *Node) (string, error) {
	x := &ONNX{w: w}
	v, ok := w.o.Inputs[n.Name()]
	if c, constant := n.Value().(*gorgonia.F32); constant && !ok {
		return x.Number(float64(*c)), nil
	}
	if !ok || w.b.inputs[n.Name()] != n {
		return "", fmt.Errorf("%w: input %q", ErrONNX, n.Name())
	}
	w.g.Inputs = append(w.g.Inputs, v)
	for i, d := range v.Dims {
		if d.Name == Sequence {
			shape := x.Node("Shape", []string{v.Name})
			w.sequence = x.Node("Gather", []string{shape, x.Ints(int64(i))}, Attr("axis", 0))
			w.length = x.Node("Gather", []string{shape, x.scalar(int64(i))}, Attr("axis", 0))
		}
	}
	if n.Dtype() == tensor.Int32 {
		return x.Reshape(v.Name, -1), nil
	}
	_, width := MatrixShape(n.Shape())
	return x.Reshape(v.Name, -1, int64(width)), nil
}

// once makes a value the first time that it is asked for.
func (w *onnxWriter) once(what string, make func() string) string {
	if w.shared[what] == "" {
		w.shared[what] = make()
	}
	return w.shared[what]
}

// weights adds the values lo to hi of a block as a tensor of this shape.
func (w *onnxWriter) weights(p paramLeaf, lo, hi int, shape ...int) string {
	name := p.block.Name
	if hi-lo < p.block.Size() {
		name = fmt.Sprintf("%s.%d", name, lo/(hi-lo))
	}
	return w.once("weight "+name, func() string {
		dtype := w.o.DType
		if len(shape) < 2 {
			dtype = "F32"
		}
		width := (hi - lo) / shape[0]
		fill := func(dst []float32, first, end int) {
			copy(dst, p.block.Floats(dst, lo+first*width, lo+end*width))
		}
		w.g.Initializers = append(w.g.Initializers, onnx.Initializer{Stream: checkpoint.Stream{Name: name, Shape: shape, Fill: fill}, DType: dtype})
		return name
	})
}
