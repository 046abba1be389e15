package export

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/onnx"
	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// onnxGraph grows an ONNX graph: every method adds a node and returns the name
// of its value. Rows are the N = B·T tokens.
type onnxGraph struct {
	g      onnx.Graph
	dtype  string
	shared map[string]string // values that are made once, by what they are
}

func newOnnxGraph(name, dtype string) *onnxGraph {
	return &onnxGraph{g: onnx.Graph{Name: name}, dtype: dtype, shared: map[string]string{}}
}

// op adds a node with one output.
func (b *onnxGraph) op(op string, in []string, attributes ...onnx.Attribute) string {
	return b.ops(op, 1, in, attributes...)[0]
}

func (b *onnxGraph) ops(op string, outputs int, in []string, attributes ...onnx.Attribute) []string {
	out := make([]string, outputs)
	for i := range out {
		out[i] = fmt.Sprintf("v%d_%d", len(b.g.Nodes), i)
	}
	b.g.Nodes = append(b.g.Nodes, onnx.Node{Op: op, In: in, Out: out, Attributes: attributes})
	return out
}

func (b *onnxGraph) add(x, y string) string { return b.op("Add", []string{x, y}) }
func (b *onnxGraph) mul(x, y string) string { return b.op("Mul", []string{x, y}) }

func axisOf(x int64) onnx.Attribute { return onnx.Attribute{Name: "axis", Value: x} }

// once makes a value the first time that it is asked for.
func (b *onnxGraph) once(what string, make func() string) string {
	if b.shared[what] == "" {
		b.shared[what] = make()
	}
	return b.shared[what]
}

// ints is a constant list of integers; scalar is one without dimensions.
func (b *onnxGraph) ints(x ...int64) string {
	return b.once(fmt.Sprint("ints ", x), func() string { return b.integers([]int{len(x)}, x) })
}

func (b *onnxGraph) scalar(x int64) string {
	return b.once(fmt.Sprint("scalar ", x), func() string { return b.integers(nil, []int64{x}) })
}

func (b *onnxGraph) integers(shape []int, x []int64) string {
	name := fmt.Sprintf("i%d", len(b.g.Initializers))
	b.g.Initializers = append(b.g.Initializers, onnx.Initializer{Stream: checkpoint.Stream{Name: name, Shape: shape}, Ints: x})
	return name
}

// number is a constant float.
func (b *onnxGraph) number(x float64) string {
	return b.once(fmt.Sprint("number ", x), func() string {
		return b.constant(fmt.Sprintf("f%d", len(b.g.Initializers)), []int{1}, []float64{x})
	})
}

// constant is a small constant in float32.
func (b *onnxGraph) constant(name string, shape []int, x []float64) string {
	b.g.Initializers = append(b.g.Initializers, onnx.Initializer{DType: "F32", Stream: checkpoint.Stream{Name: name, Shape: shape, Fill: func(dst []float32, lo, hi int) {
		first := lo * len(x) / shape[0]
		for i := range dst {
			dst[i] = float32(x[first+i])
		}
	}}})
	return name
}

// raw adds a tensor of weights as the file keeps it; vectors stay in float32.
func (b *onnxGraph) raw(s checkpoint.Stream) string {
	return b.once("weight "+s.Name, func() string {
		dtype := b.dtype
		if len(s.Shape) < 2 {
			dtype = "F32"
		}
		b.g.Initializers = append(b.g.Initializers, onnx.Initializer{Stream: s, DType: dtype})
		return s.Name
	})
}

// weight is a tensor of weights as float32.
func (b *onnxGraph) weight(s checkpoint.Stream) string {
	name := b.raw(s)
	if len(s.Shape) < 2 {
		return name
	}
	return b.wide(name)
}

// wide is a value in float32 that may be of 16 bits.
func (b *onnxGraph) wide(x string) string {
	if b.dtype == "F32" {
		return x
	}
	return b.op("Cast", []string{x}, onnx.Attribute{Name: "to", Value: int64(onnx.Float)})
}

// linear is x·wᵀ + bias with w [out, in], linearIn x·w + bias with w [in, out]:
// both are how the parameters lie. bias is "" for none.
func (b *onnxGraph) linear(x string, w checkpoint.Stream, bias string) string {
	return b.gemm(x, b.weight(w), bias, onnx.Attribute{Name: "transB", Value: int64(1)})
}

func (b *onnxGraph) linearIn(x string, w checkpoint.Stream, bias string) string {
	return b.gemm(x, b.weight(w), bias)
}

func (b *onnxGraph) gemm(x, w, bias string, attributes ...onnx.Attribute) string {
	in := []string{x, w}
	if bias != "" {
		in = append(in, bias)
	}
	return b.op("Gemm", in, attributes...)
}

func (b *onnxGraph) layerNorm(x, gain, bias string, eps float64) string {
	return b.op("LayerNormalization", []string{x, gain, bias}, axisOf(-1), onnx.Attribute{Name: "epsilon", Value: float32(eps)})
}

func (b *onnxGraph) rmsNorm(x, gain string, eps float64) string {
	mean := b.op("ReduceMean", []string{b.mul(x, x)}, onnx.Attribute{Name: "axes", Value: []int64{-1}}, onnx.Attribute{Name: "keepdims", Value: int64(1)})
	root := b.op("Sqrt", []string{b.add(mean, b.number(eps))})
	return b.mul(b.op("Div", []string{x, root}), gain)
}

// gelu is x·Phi(x), or its approximation by tanh.
func (b *onnxGraph) gelu(x string, tanh bool) string {
	var inner string
	if tanh {
		cube := b.mul(b.mul(x, x), x)
		inner = b.op("Tanh", []string{b.mul(b.add(x, b.mul(cube, b.number(0.044715))), b.number(0.7978845608028654))}) // sqrt(2/pi)
	} else {
		inner = b.op("Erf", []string{b.mul(x, b.number(0.7071067811865476))}) // 1/sqrt(2)
	}
	return b.mul(b.mul(x, b.number(0.5)), b.add(inner, b.number(1)))
}

func (b *onnxGraph) reshape(x, shape string) string { return b.op("Reshape", []string{x, shape}) }

func (b *onnxGraph) transpose(x string, perm ...int64) string {
	return b.op("Transpose", []string{x}, onnx.Attribute{Name: "perm", Value: perm})
}

// heads cuts rows [N, g·r·d] into heads: [B, g, r, T, d]. bt is the shape [B, T].
func (b *onnxGraph) heads(x, bt string, g, r, d int) string {
	shape := b.once(fmt.Sprint("heads ", bt, g, r, d), func() string {
		return b.op("Concat", []string{bt, b.ints(int64(g), int64(r), int64(d))}, axisOf(0))
	})
	return b.transpose(b.reshape(x, shape), 0, 2, 3, 1, 4)
}

// attention is softmax(scale·q·kᵀ + mask)·v of heads q [B, g, r, T, d], k
// [B, g, 1, T, d], v [B, g, 1, T, e], back in rows [N, g·r·e]. mask is "" for none.
func (b *onnxGraph) attention(q, k, v, mask string, scale float64, width int) string {
	scores := b.op("MatMul", []string{b.mul(q, b.number(scale)), b.transpose(k, 0, 1, 2, 4, 3)}) // (B, g, r, T, T)
	if mask != "" {
		scores = b.add(scores, mask)
	}
	ctx := b.op("MatMul", []string{b.op("Softmax", []string{scores}, axisOf(-1)), v}) // (B, g, r, T, e)
	return b.reshape(b.transpose(ctx, 0, 3, 1, 2, 4), b.ints(-1, int64(width)))       // (N, g·r·e)
}
