package graph

import (
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/internal/onnx"
)

// onnx is the ONNX form of a rotation by the position in the sequence: rows of q, k, v
// are cut, the pairs (2j, 2j+1) of every head of q and k turned, and joined again.
func (t *rotary) onnx(x *ONNX, s Shape) string {
	heads, pairs := s.G*(s.R+1), t.Pairs
	cut := x.Sizes(x.In(0), int64(heads*s.QK), int64(s.G*s.VO))
	rows, rest := cut[0], ""
	if n := s.QK - 2*pairs; n > 0 {
		part := x.Sizes(x.Reshape(rows, -1, int64(heads), int64(s.QK)), int64(2*pairs), int64(n))
		rows, rest = part[0], part[1]
	}
	rows = x.Split3(rows, s.T, heads, pairs, 2) // (B, T, heads, pairs, 2)
	v := x.Nodes("Split", 2, []string{rows}, Attr("axis", -1))
	cos, sin := t.angles(x, s)
	one := x.Sub(x.Mul(v[0], cos), x.Mul(v[1], sin))
	other := x.Add(x.Mul(v[1], cos), x.Mul(v[0], sin))
	turned := x.Node("Concat", []string{one, other}, Attr("axis", -1))
	if rest != "" {
		turned = x.Node("Concat", []string{x.Reshape(turned, -1, int64(heads), int64(2*pairs)), rest}, Attr("axis", -1))
	}
	return x.Node("Concat", []string{x.Reshape(turned, -1, int64(heads*s.QK)), cut[1]}, Attr("axis", 1))
}

// angles are the cosines and sines at every position, [T, heads or 1, pairs, 1].
// Layers with the same frequencies share them.
func (t *rotary) angles(x *ONNX, s Shape) (cos, sin string) {
	heads := 1
	if t.PerHead { // those of the query heads, then those of the K/V heads
		heads = s.G * (s.R + 1)
	}
	key := fmt.Sprintf("%s %d heads", t.key, heads)
	angles := x.w.once("angles "+key, func() string {
		at := x.Node("Cast", []string{x.Positions(s.T)}, Attr("to", onnx.Float))
		return x.Mul(x.Reshape(at, -1, 1, 1, 1), t.frequencies(x, s, heads))
	})
	function := func(op string) string {
		return x.w.once(op+" "+key, func() string {
			v := x.Node(op, []string{angles})
			if t.gain != 1 {
				v = x.Mul(v, x.Constant([]int{heads, t.Pairs, 1}, t.byHead(s, t.gains())))
			}
			return v
		})
	}
	return function("Cos"), function("Sin")
}

// frequencies are those of each head, [heads, pairs, 1]: where long texts have others, those
// of the file's text.
func (t *rotary) frequencies(x *ONNX, s Shape, heads int) string {
	of := func(list []float32) string { return x.Constant([]int{heads, t.Pairs, 1}, t.byHead(s, list)) }
	long := t.lists[1]
	switch {
	case len(long) > 0 && x.anyLength(s.T):
		return x.Node("Where", []string{x.Node("GreaterOrEqual", []string{x.w.length, x.scalar(int64(t.after) + 1)}), of(long), of(t.lists[0])})
	case len(long) > 0 && s.T > t.after:
		return of(long)
	}
	return of(t.lists[0])
}

// byHead is a number a pair for every head: those of the query heads, then those of the K/V
// heads; one list where all have the same.
func (t *rotary) byHead(s Shape, list []float32) (out []float32) {
	if !t.PerHead {
		return list
	}
	for g := range s.G {
		for range s.R {
			out = append(out, list[g*t.Pairs:(g+1)*t.Pairs]...)
		}
	}
	return slices.Concat(out, list)
}

// gains are what cosines and sines are multiplied by: 1 where a pair stands still.
func (t *rotary) gains() []float32 {
	out := make([]float32, len(t.lists[0]))
	for i, f := range t.lists[0] {
		if out[i] = t.gain; f == 0 {
			out[i] = 1
		}
	}
	return out
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
	if c := float64(s.SoftCap); c > 0 {
		scores = x.Mul(x.Node("Tanh", []string{x.Mul(scores, x.Number(1/c))}), x.Number(c))
	}
	if s.Causal || s.Window > 0 {
		scores = x.Add(scores, x.mask(s))
	}
	ctx := x.Node("MatMul", []string{x.Node("Softmax", []string{scores}, Attr("axis", -1)), heads(cut[2], 1, s.VO)})
	return x.Reshape(x.Transpose(ctx, 0, 3, 1, 2, 4), -1, int64(s.G*s.R*s.VO)) // (N, G·R·VO)
}

// mask is the mask [T, T] that is added to scores: 0 where a token may look.
func (x *ONNX) mask(s Shape) string {
	return x.w.once(fmt.Sprint("mask ", s.T, s.Causal, s.Window), func() string {
		at := x.Positions(s.T)
		row := x.Node("Unsqueeze", []string{at, x.Ints(1)})
		column := x.Node("Unsqueeze", []string{at, x.Ints(0)})
		hide := func(seen string) string { return x.Node("Where", []string{seen, x.Number(0), x.Number(-1e38)}) }
		// back is how far a key lies before the token.
		back := func() string {
			float := func(v string) string { return x.Node("Cast", []string{v}, Attr("to", onnx.Float)) }
			return x.Sub(float(row), float(column))
		}
		if !s.Causal {
			reach := x.Number(float64(s.Window / 2))
			return hide(x.Node("GreaterOrEqual", []string{reach, x.Node("Abs", []string{back()})}))
		}
		mask := hide(x.Node("GreaterOrEqual", []string{row, column}))
		if s.Window > 0 {
			mask = x.Add(mask, hide(x.Node("GreaterOrEqual", []string{x.Number(float64(s.Window - 1)), back()})))
		}
		return mask
	})
}
