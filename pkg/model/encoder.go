package model

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// Encoder is a Model of text in which every token sees the whole text, before and after
// it: what comes out is a hidden state a token.
type Encoder interface {
	Model
	// Hidden is the hidden states of B texts of T tokens, (B·T, E). Its inputs are "ids",
	// and with BuildOptions.Documents "starts" and "pos": a token whose start is T is
	// padding, which no token sees.
	Hidden(b *graph.Builder, B, T int) *graph.Node
}

// encoder is every model of that kind:
//
//	x = norm(embed(ids) + positions + types[0])          (N, E)
//	x = norm(x + O(attention(QKV(x))))                    per layer
//	x = norm(x + out(act(in(x))))                         per layer
//	logits = head(norm(act(dense(x)))) + bias             with a masked-language-model head
//
// or, with norms before each part instead of after it,
//
//	x = norm(embed(ids))
//	x = x + O(attention(rope(QKV(norm(x)))))              per layer
//	x = x + down(act(gate(norm(x)))·up(norm(x)))          per layer
//	x = norm(x)
//
// with the variations that Arch lists.
type encoder struct{ text }

// Pooling is how the hidden states of a text's tokens become one vector.
type Pooling string

// The poolings.
const (
	MeanPooling Pooling = "mean" // mean of all tokens, special ones included
	CLSPooling  Pooling = "cls"  // the first token's
)

// ParsePooling reads a name of a pooling.
func ParsePooling(name string) (Pooling, error) {
	switch p := Pooling(name); p {
	case MeanPooling, CLSPooling:
		return p, nil
	}
	return "", fmt.Errorf("pooling is %q, expected mean or cls", name)
}

// Hidden implements Encoder.
func (m *encoder) Hidden(b *graph.Builder, B, T int) *graph.Node { return m.hidden(b, B, T, 0) }

// hidden begins at the layer `from`.
func (m *encoder) hidden(b *graph.Builder, B, T, from int) *graph.Node {
	l := &lowering{a: m.a.of(b.Set()), b: b, B: B, T: T}
	x := start(b, B*T, m.a.Hidden, from, l.embed) // (N, E)
	for i := from; i < l.a.Layers; i++ {
		x = l.layer(x, i, every)
	}
	b.Site("output", x)
	if !l.a.AddNorm {
		x = l.norm(x, b.Param("norm"))
	}
	return x
}

// beforeHead is what the head's matrix reads: (N, E).
func (m *encoder) beforeHead(b *graph.Builder, x *graph.Node) *graph.Node {
	l := &lowering{a: m.a, b: b}
	x = b.GELU(b.Kept(b.Linear(x, b.Param("head_dense"), b.Param("head_dense_bias"))), m.a.HeadAct == TanhGELU)
	return l.norm(x, b.Param("head_norm"))
}

func (m *encoder) table(b *graph.Builder) *graph.Node {
	if m.a.Tied {
		return b.Param("embed")
	}
	return b.Param("head")
}

// Head is nil for a model without a masked-language-model head.
func (m *encoder) Head(set *param.Set) (w, bias *param.Param) {
	switch {
	case !m.a.MaskedLM:
		return nil, nil
	case m.a.Tied:
		return set.Param("embed"), set.Param("head_bias")
	}
	return set.Param("head"), set.Param("head_bias")
}

// Loss is that of masked-language modelling: targets are the tokens that stood where
// "ids" has the mask. Without that head it is how far the direction of each text's vector
// is from the input "vectors" [B, E] (graph.VectorLoss); "targets" are then [B], 0 for a
// text that counts.
func (m *encoder) Loss(b *graph.Builder, B, T, from int) {
	x := m.hidden(b, B, T, from)
	if !m.a.MaskedLM {
		l := &lowering{a: m.a, b: b, B: B, T: T}
		s := graph.VectorShape{B: B, T: T, E: m.a.Hidden, First: m.a.Pooling == CLSPooling}
		b.VectorLoss(x, l.starts(), b.Floats("vectors", B, m.a.Hidden), b.IDs("targets", B), b.Scalar("scale"), s)
		return
	}
	x = m.beforeHead(b, x)
	b.HeadLoss(graph.LossOperands{X: x, W: m.table(b), Bias: b.Param("head_bias"), Targets: b.IDs("targets", B*T), Scale: b.Scalar("scale")}, graph.Head{Smoothing: b.Smoothing()})
}

// Decode gives "hidden" [B·T, E] for a model without a head.
func (m *encoder) Decode(b *graph.Builder, B, T int, all bool) {
	x := m.hidden(b, B, T, 0)
	if !m.a.MaskedLM {
		b.Output("hidden", x)
		return
	}
	if !all {
		x = lastRow(b, x, T)
	}
	b.Output("logits", b.Linear(m.beforeHead(b, x), m.table(b), b.Param("head_bias")))
}

// Cache is none: nothing is kept from one text to the next.
func (m *encoder) Cache(set *param.Set) [][2]int { return nil }

// UnitVectors are the vectors of N texts, each of length 1: of hidden states [N·T, E] those of
// the model's pooling. starts [N·T] is T for padding. A text of padding has the vector 0.
func UnitVectors(m Encoder, hidden []float32, n int, starts []int32) []float32 {
	width, t := m.Arch().Hidden, len(starts)/n
	out := make([]float32, n*width)
	for i := range n {
		unitVector(out[i*width:][:width], hidden[i*t*width:], starts[i*t:][:t], m.Arch().Pooling == CLSPooling)
	}
	return out
}

// unitVector is the direction of the sum of a text's tokens, or of the first one.
func unitVector(out, hidden []float32, starts []int32, first bool) {
	square := 0.0
	for c := range out {
		sum := 0.0
		for t, start := range starts {
			if int(start) < len(starts) && (t == 0 || !first) {
				sum += float64(hidden[t*len(out)+c])
			}
		}
		out[c], square = float32(sum), square+sum*sum
	}
	for c := range out {
		if square > 0 {
			out[c] = float32(float64(out[c]) / math.Sqrt(square))
		}
	}
}
