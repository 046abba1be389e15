package graph

import (
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/internal/onnx"
)

// onnx is the ONNX form of a rotation by the position in the sequence: rows of q, k, v
// are cut, the pairs (2j, 2j+1) of every head of q and k turned, and joined again.
func (t *rotary) onnx(x *ONNX, s Shape) string {
	heads, pairs := s.G*(s.R+1), s.QK/2
	cut := x.Sizes(x.In(0), int64(heads*s.QK), int64(s.G*s.VO))
	rows := x.Split3(cut[0], s.T, heads, pairs, 2) // (B, T, heads, pairs, 2)
	v := x.Nodes("Split", 2, []string{rows}, Attr("axis", -1))
	cos, sin := t.angles(x, s)
	one := x.Sub(x.Mul(v[0], cos), x.Mul(v[1], sin))
	other := x.Add(x.Mul(v[1], cos), x.Mul(v[0], sin))
	turned := x.Reshape(x.Node("Concat", []string{one, other}, Attr("axis", -1)), -1, int64(heads*s.QK))
	return x.Node("Concat", []string{turned, cut[1]}, Attr("axis", 1))
}

// angles are the cosines and sines at every position, [T, heads or 1, pairs, 1].
// Layers with the same frequencies share them.
func (t *rotary) angles(x *ONNX, s Shape) (cos, sin string) {
	pairs := s.QK / 2
	freqs, heads := t.freqs, 1
	if t.PerHead { // those of the query heads, then those of the K/V heads
		freqs, heads = nil, s.G*(s.R+1)
		for g := range s.G {
			for range s.R {
				freqs = append(freqs, t.freqs[g*pairs:(g+1)*pairs]...)
			}
		}
		freqs = slices.Concat(freqs, t.freqs)
	}
	key := fmt.Sprintf("%s %d heads", t.key, heads)
	angles := x.w.once("angles "+key, func() string {
		at := x.Node("Cast", []string{x.Positions(s.T)}, Attr("to", onnx.Float))
		return x.Mul(x.Reshape(at, -1, 1, 1, 1), x.Constant([]int{heads, pairs, 1}, freqs))
	})
	cos = x.w.once("cos "+key, func() string { return x.Node("Cos", []string{angles}) })
	sin = x.w.once("sin "+key, func() string { return x.Node("Sin", []string{angles}) })
	return cos, sin
}

// attentionONNX is softmax(scale·q·kᵀ + mask)·v: heads are [B, G, R, T, d], those of k
// and v have an R of 1.
func attentionONNX(x *ONNX, s Shape) string {
	q, k, v := int64(s.G*s.R*s.QK), int64(s.G*s.QK), int64(s.G*s.VO)
	cut := x.Sizes(x.In(0), q, k, v)
	heads := func(rows string, r, d int) string {
		return x.Transpose(x.Split3(rows, s.T, s.G, r, d), 0, 2, 3, 1, 4)
	}
	scores := x.Node("MatMul", []string{
		x.Mul(heads(cut[0], s.R, s.QK), x.Number(float64(s.Scale))),
		x.Transpose(heads(cut[1], 1, s.QK), 0, 1, 2, 4, 3),
	}) // (B, G, R, T, T)
	if s.Causal {
		scores = x.Add(scores, x.causal(s.T))
	}
	ctx := x.Node("MatMul", []string{x.Node("Softmax", []string{scores}, Attr("axis", -1)), heads(cut[2], 1, s.VO)})
	return x.Reshape(x.Transpose(ctx, 0, 3, 1, 2, 4), -1, int64(s.G*s.R*s.VO)) // (N, G·R·VO)
}

// causal is the mask [T, T] that is added to scores: 0 where a token may look.
func (x *ONNX) causal(t int) string {
	return x.w.once(fmt.Sprint("causal ", t), func() string {
		at := x.Positions(t)
		row := x.Node("Unsqueeze", []string{at, x.Ints(1)})
		column := x.Node("Unsqueeze", []string{at, x.Ints(0)})
		return x.Node("Where", []string{x.Node("GreaterOrEqual", []string{row, column}), x.Number(0), x.Number(-3e38)})
	})
}
