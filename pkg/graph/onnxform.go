package graph

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/onnx"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// Attribute is a named constant of an ONNX node: a float32, an int64 or an []int64.
type Attribute = onnx.Attribute

// Attr makes an attribute; an int becomes an int64.
func Attr(name string, value any) Attribute {
	if i, ok := value.(int); ok {
		value = int64(i)
	}
	return Attribute{Name: name, Value: value}
}

// ONNX is where an operation writes its ONNX form (operator set 17, https://onnx.ai/onnx/operators/):
// Op.ONNX makes nodes of its operands' values and returns the name of its own. Values are matrices
// of rows as in the graph; their number is not fixed, so neither B nor T of the
// graph may stand in a shape: see Split3.
type ONNX struct {
	w     *onnxWriter
	in    []*Node
	names []string
	err   error
}

// Len is the number of operands.
func (x *ONNX) Len() int { return len(x.in) }

// Cols is the width of operand i's rows.
func (x *ONNX) Cols(i int) int { _, cols := MatrixShape(x.in[i].Shape()); return cols }

// In is the value of operand i in float32.
func (x *ONNX) In(i int) string {
	if p, ok := x.w.block(x.in[i]); ok {
		raw := x.Raw(i)
		if len(x.in[i].Shape()) < 2 {
			return raw
		}
		return x.w.once("wide "+p.block.Name, func() string { return x.Widen(raw) })
	}
	return x.names[i]
}

// Raw is operand i as the file keeps it: a matrix of parameters may be of 16 bits.
func (x *ONNX) Raw(i int) string {
	if p, ok := x.w.block(x.in[i]); ok {
		return x.w.weights(p, 0, p.block.Size(), x.in[i].Shape()...)
	}
	return x.names[i]
}

// Matrix is In as [rows, cols]: parameters of one row are a vector in the graph.
func (x *ONNX) Matrix(i int) string { return x.matrix(i, x.In(i)) }

// Table is Raw as [rows, cols].
func (x *ONNX) Table(i int) string { return x.matrix(i, x.Raw(i)) }

func (x *ONNX) matrix(i int, v string) string {
	if len(x.in[i].Shape()) > 1 {
		return v
	}
	return x.Reshape(v, 1, int64(x.Cols(i)))
}

// Parts are n equal parts of operand i along its last dimension.
func (x *ONNX) Parts(i, n int) []string {
	p, ok := x.w.block(x.in[i])
	if !ok || len(x.in[i].Shape()) != 1 {
		return x.Nodes("Split", n, []string{x.In(i)}, Attr("axis", -1))
	}
	size := p.block.Size() / n
	out := make([]string, n)
	for k := range out {
		out[k] = x.w.weights(p, k*size, (k+1)*size, size)
	}
	return out
}

// Widen is a value in float32 that may be of 16 bits.
func (x *ONNX) Widen(v string) string {
	if x.w.o.DType == "F32" {
		return v
	}
	return x.Node("Cast", []string{v}, Attr("to", onnx.Float))
}

// Node adds a node with one output, and returns it.
func (x *ONNX) Node(op string, in []string, attributes ...Attribute) string {
	return x.Nodes(op, 1, in, attributes...)[0]
}

// Nodes adds a node with several outputs.
func (x *ONNX) Nodes(op string, outputs int, in []string, attributes ...Attribute) []string {
	g := x.w.g
	out := make([]string, outputs)
	for i := range out {
		out[i] = fmt.Sprintf("v%d_%d", len(g.Nodes), i)
	}
	g.Nodes = append(g.Nodes, onnx.Node{Op: op, In: in, Out: out, Attributes: attributes})
	return out
}

// Add, Sub, Mul and Div are what they say, with NumPy's broadcasting.
func (x *ONNX) Add(a, b string) string { return x.Node("Add", []string{a, b}) }

// Sub is a - b.
func (x *ONNX) Sub(a, b string) string { return x.Node("Sub", []string{a, b}) }

// Mul is a · b, value by value.
func (x *ONNX) Mul(a, b string) string { return x.Node("Mul", []string{a, b}) }

// Div is a / b, value by value.
func (x *ONNX) Div(a, b string) string { return x.Node("Div", []string{a, b}) }

// Transpose reorders dimensions.
func (x *ONNX) Transpose(v string, order ...int64) string {
	return x.Node("Transpose", []string{v}, Attr("perm", order))
}

// Reshape gives v these dimensions, of which one may be -1.
func (x *ONNX) Reshape(v string, dims ...int64) string {
	return x.Node("Reshape", []string{v, x.Ints(dims...)})
}

// Sizes cuts v along its last dimension in parts of these sizes.
func (x *ONNX) Sizes(v string, sizes ...int64) []string {
	return x.Nodes("Split", len(sizes), []string{v, x.Ints(sizes...)}, Attr("axis", -1))
}

// Split3 gives rows [B·T, ...] the dimensions [B, T, dims...], with t the graph's T or
// another fixed number of rows.
func (x *ONNX) Split3(v string, t int, dims ...int) string {
	tail := make([]int64, len(dims))
	for i, d := range dims {
		tail[i] = int64(d)
	}
	if !x.anyLength(t) {
		return x.Reshape(v, append([]int64{-1, int64(t)}, tail...)...)
	}
	shape := x.w.once(fmt.Sprint("shape ", tail), func() string {
		return x.Node("Concat", []string{x.Ints(-1), x.w.sequence, x.Ints(tail...)}, Attr("axis", 0))
	})
	return x.Node("Reshape", []string{v, shape})
}

// anyLength reports whether t stands for the tokens that the file's caller chooses.
func (x *ONNX) anyLength(t int) bool { return x.w.sequence != "" && t == x.w.o.Tokens }

// Positions is 0 to t-1, integers [T].
func (x *ONNX) Positions(t int) string {
	if !x.anyLength(t) {
		all := make([]int64, t)
		for i := range all {
			all[i] = int64(i)
		}
		return x.Ints(all...)
	}
	return x.w.once("positions", func() string {
		return x.Node("Range", []string{x.scalar(0), x.w.length, x.scalar(1)})
	})
}

// Ints is a list of integers.
func (x *ONNX) Ints(v ...int64) string {
	return x.w.once(fmt.Sprint("ints ", v), func() string { return x.integers([]int{len(v)}, v) })
}

func (x *ONNX) scalar(v int64) string {
	return x.w.once(fmt.Sprint("scalar ", v), func() string { return x.integers(nil, []int64{v}) })
}

func (x *ONNX) integers(shape []int, v []int64) string {
	g := x.w.g
	name := fmt.Sprintf("i%d", len(g.Initializers))
	g.Initializers = append(g.Initializers, onnx.Initializer{Stream: checkpoint.Stream{Name: name, Shape: shape}, Ints: v})
	return name
}

// Number is a constant.
func (x *ONNX) Number(v float64) string { return x.Constant([]int{1}, []float32{float32(v)}) }

// Constant is a small constant of this shape; equal ones are made once.
func (x *ONNX) Constant(shape []int, v []float32) string {
	return x.w.once(fmt.Sprint("constant ", shape, v), func() string {
		g := x.w.g
		name := fmt.Sprintf("f%d", len(g.Initializers))
		width := len(v) / shape[0]
		fill := func(dst []float32, lo, hi int) { copy(dst, v[lo*width:hi*width]) }
		g.Initializers = append(g.Initializers, onnx.Initializer{DType: "F32", Stream: checkpoint.Stream{Name: name, Shape: shape, Fill: fill}})
		return name
	})
}
