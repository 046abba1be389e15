package model

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// decoder is every model that continues text:
//
//	x = embed(ids) [+ positions]                       (N, E)
//	x = x + [norm](O(attention(rope(QKV(norm(x))))))   per layer
//	x = x + [norm](down(act(gate(norm(x)))·up(norm(x))))  per layer
//	logits = head(norm(x))
//
// with the variations that Arch lists.
type decoder struct{ text }

func (m *decoder) Head(set *param.Set) (w, bias *param.Param) {
	if m.a.Tied {
		return set.Param("embed"), nil
	}
	return set.Param("head"), nil
}

// Cache is the floats a token of keys and of values in each layer.
func (m *decoder) Cache(set *param.Set) [][2]int {
	a := m.a.of(set)
	out := make([][2]int, a.Layers)
	for i := range out {
		w := Layer(set, i)
		out[i] = [2]int{w.KV * w.QK * a.Pair(i), w.KV * w.VO}
	}
	return out
}

func (m *decoder) Loss(b *graph.Builder, B, T, from int) {
	x := (&lowering{a: m.a.of(b.Set()), b: b, B: B, T: T}).hidden(from, every)
	b.HeadLoss(graph.LossOperands{X: x, W: m.head(b), Targets: b.IDs("targets", B*T), Scale: b.Scalar("scale")}, graph.Head{Smoothing: b.Smoothing(), Logits: m.logits()})
}

func (m *decoder) Decode(b *graph.Builder, B, T int, all bool) {
	rows := every
	if !all {
		rows = func(x *graph.Node) *graph.Node { return lastRow(b, x, T) }
	}
	b.Output("logits", m.Logits(b, (&lowering{a: m.a.of(b.Set()), b: b, B: B, T: T}).hidden(0, rows)))
}

// Hidden is the residual stream after the last norm of B sequences of T tokens, (B·T, E).
func (m *decoder) Hidden(b *graph.Builder, cache *graph.Cache, B, T int) *graph.Node {
	return (&lowering{a: m.a.of(b.Set()), b: b, cache: cache, B: B, T: T}).hidden(0, every)
}

// HiddenRows is Hidden of some of its rows, (rows, E).
func (m *decoder) HiddenRows(b *graph.Builder, cache *graph.Cache, N int, rows *graph.Node) *graph.Node {
	l := &lowering{a: m.a.of(b.Set()), b: b, cache: cache, B: N, T: 1}
	return l.hidden(0, func(x *graph.Node) *graph.Node {
		l.B = rows.Shape().TotalSize() // behind the last attention
		return b.Embed(rows, x)
	})
}

// Logits are those of rows of Hidden: (rows, V).
func (m *decoder) Logits(b *graph.Builder, h *graph.Node) *graph.Node {
	return b.Logits(b.Linear(h, m.head(b), nil), m.logits())
}

// logits is what becomes of the head's products.
func (m *decoder) logits() graph.Logits {
	return graph.Logits{Scale: float32(m.a.LogitScale), SoftCap: float32(m.a.FinalCap)}
}

func (m *decoder) head(b *graph.Builder) *graph.Node {
	if m.a.Tied {
		return b.Param("embed")
	}
	return b.Param("head")
}
