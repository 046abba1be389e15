package export

import (
	"fmt"

	"github.com/ecospa/ecospa/internal/onnx"
)

// onnxDecoder is a gpt2 or a llama as an ONNX graph: input_ids [batch, sequence]
// to logits [batch, sequence, vocabulary].
func (s *source) onnxDecoder(dtype string) *onnx.Graph {
	b := newOnnxGraph("ecospa "+s.ModelType, dtype)
	bt := b.op("Shape", []string{"input_ids"})
	t := b.op("Gather", []string{bt, b.scalar(1)}, axisOf(0))
	positions := b.op("Range", []string{b.scalar(0), t, b.scalar(1)}) // (T)
	mask := b.causal(positions)
	table := stacked("embed", s.whole("embed"))
	x := b.wide(b.op("Gather", []string{b.raw(table), "input_ids"}, axisOf(0))) // (B, T, E)
	if s.ModelType == "gpt2" {
		x = b.add(x, b.wide(b.op("Gather", []string{b.raw(stacked("positions", s.whole("positions"))), positions}, axisOf(0))))
	}
	x = b.reshape(x, b.ints(-1, int64(s.Hidden))) // (N, E)
	for i := range s.Layers {
		if s.ModelType == "gpt2" {
			x = s.onnxGPT2Layer(b, x, bt, mask, i)
		} else {
			x = s.onnxLlamaLayer(b, x, bt, mask, positions, i)
		}
	}
	if s.ModelType == "gpt2" {
		x = b.layerNorm(x, b.vector(s, "norm_gain"), b.vector(s, "norm_bias"), s.LayerEps)
	} else {
		x = b.rmsNorm(x, b.vector(s, "norm"), s.RMSEps)
	}
	if s.set.Param("head") != nil {
		table = stacked("head", s.whole("head"))
	}
	shape := b.op("Concat", []string{bt, b.ints(int64(s.Vocab))}, axisOf(0))
	b.reshape(b.linear(x, table, ""), shape)
	b.g.Nodes[len(b.g.Nodes)-1].Out[0] = "logits"
	b.g.Inputs = []onnx.Value{{Name: "input_ids", Type: onnx.Int64, Dims: []onnx.Dim{{Name: "batch"}, {Name: "sequence"}}}}
	b.g.Outputs = []onnx.Value{{Name: "logits", Type: onnx.Float, Dims: []onnx.Dim{{Name: "batch"}, {Name: "sequence"}, {Size: int64(s.Vocab)}}}}
	return &b.g
}

// causal is the mask [T, T] that is added to scores: 0 where a token may look.
func (b *onnxGraph) causal(positions string) string {
	row := b.op("Unsqueeze", []string{positions, b.ints(1)})
	column := b.op("Unsqueeze", []string{positions, b.ints(0)})
	return b.op("Where", []string{b.op("GreaterOrEqual", []string{row, column}), b.number(0), b.number(-3e38)})
}

// vector is a whole vector outside of the layers.
func (b *onnxGraph) vector(s *source, p string) string {
	return b.weight(vector(p, take(s.set.Param(p), 1, nil)))
}

// layerVector is a vector of a layer, or "" when the model has none.
func (b *onnxGraph) layerVector(s *source, layer int, p string, pick []int) string {
	if s.param(layer, p) == nil {
		return ""
	}
	return b.weight(vector(fmt.Sprintf("layer.%d.%s", layer, p), take(s.param(layer, p), 1, pick)))
}

// project is rows times a matrix of a layer, [out, in], its bias added.
func (s *source) project(b *onnxGraph, x string, layer int, p string, pick []int) string {
	w := stacked(fmt.Sprintf("layer.%d.%s", layer, p), take(s.param(layer, p), s.Hidden, pick))
	return b.linear(x, w, b.layerVector(s, layer, p+"_bias", pick))
}

// back is rows times a matrix of a layer that lies [in, out], its bias and the
// residual stream added.
func (s *source) back(b *onnxGraph, h, x string, layer int, p string) string {
	w := stacked(fmt.Sprintf("layer.%d.%s", layer, p), s.at(layer, p))
	return b.add(x, b.linearIn(h, w, b.layerVector(s, layer, p+"_bias", nil)))
}

func (s *source) onnxGPT2Layer(b *onnxGraph, x, bt, mask string, i int) string {
	w := s.widths(i)
	vec := func(p string) string { return b.layerVector(s, i, p, nil) }
	h := b.layerNorm(x, vec("norm1_gain"), vec("norm1_bias"), s.LayerEps)
	q := b.heads(s.project(b, h, i, "q", nil), bt, w.KV, 1, w.QK)
	k := b.heads(s.project(b, h, i, "k", nil), bt, w.KV, 1, w.QK)
	v := b.heads(s.project(b, h, i, "v", nil), bt, w.KV, 1, w.VO)
	x = s.back(b, b.attention(q, k, v, mask, s.scale(), w.KV*w.VO), x, i, "o")
	h = b.layerNorm(x, vec("norm2_gain"), vec("norm2_bias"), s.LayerEps)
	h = b.gelu(s.project(b, h, i, "in", nil), s.Activation != "gelu")
	return s.back(b, h, x, i, "out")
}

func (s *source) onnxLlamaLayer(b *onnxGraph, x, bt, mask, positions string, i int) string {
	w, r := s.widths(i), s.repeat()
	h := b.rmsNorm(x, b.layerVector(s, i, "norm1", nil), s.RMSEps)
	cos, sin := s.onnxAngles(b, positions, i)
	turn := func(p string, r int) string {
		rows := s.project(b, h, i, p, halves(w.KV*r, w.QK))
		two := b.ops("Split", 2, []string{b.heads(rows, bt, w.KV, r, 2*w.QK)}, axisOf(-1)) // (B, G, r, T, QK) each
		one := b.op("Sub", []string{b.mul(two[0], cos), b.mul(two[1], sin)})
		other := b.add(b.mul(two[1], cos), b.mul(two[0], sin))
		return b.op("Concat", []string{one, other}, axisOf(-1))
	}
	q, k := turn("q", r), turn("k", 1)
	v := b.heads(s.project(b, h, i, "v", nil), bt, w.KV, 1, w.VO)
	x = s.back(b, b.attention(q, k, v, mask, s.scale(), w.KV*r*w.VO), x, i, "o")
	h = b.rmsNorm(x, b.layerVector(s, i, "norm2", nil), s.RMSEps)
	gate := s.project(b, h, i, "gate", nil)
	h = b.mul(b.mul(gate, b.op("Sigmoid", []string{gate})), s.project(b, h, i, "up", nil))
	return s.back(b, h, x, i, "down")
}

// halves is the rows of heads of so many rotation pairs, the first ones of all
// pairs of a head before the second ones.
func halves(heads, pairs int) []int {
	var out []int
	for h := range heads {
		for t := range 2 {
			for u := range pairs {
				out = append(out, (h*pairs+u)*2+t)
			}
		}
	}
	return out
}

// onnxAngles is the cosines and sines of the rotation at every position,
// [G, 1, T, QK], or [1, 1, T, QK] when heads share them. Layers with the same
// frequencies share the values.
func (s *source) onnxAngles(b *onnxGraph, positions string, layer int) (cos, sin string) {
	freqs := s.freqs(layer)
	key := fmt.Sprint("angles ", freqs)
	angles := b.once(key, func() string {
		var flat []float64
		for _, f := range freqs {
			flat = append(flat, f...)
		}
		at := b.op("Unsqueeze", []string{b.op("Cast", []string{positions}, onnx.Attribute{Name: "to", Value: int64(onnx.Float)}), b.ints(1)}) // (T, 1)
		return b.mul(at, b.constant(fmt.Sprintf("layer.%d.frequencies", layer), []int{len(freqs), 1, 1, len(freqs[0])}, flat))
	})
	cos = b.once("cos "+key, func() string { return b.op("Cos", []string{angles}) })
	sin = b.once("sin "+key, func() string { return b.op("Sin", []string{angles}) })
	return cos, sin
}
