package model

import (
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// lowering is one graph of a transformer: B sequences of T tokens after what a cache
// holds, or without one.
type lowering struct {
	a     *Arch
	b     *graph.Builder
	cache *graph.Cache
	B, T  int
}

// hidden is the residual stream after the last norm from the layer `from` on, of the rows that
// wanted picks of all, (N, E): what is computed for others ends with the last attention.
func (l *lowering) hidden(from int, wanted func(*graph.Node) *graph.Node) *graph.Node {
	b := l.b
	x := start(b, l.B*l.T, l.a.Hidden, from, l.embed) // (N, E)
	for i := from; i < l.a.Layers; i++ {
		pick := every
		if i == l.a.Layers-1 {
			pick = wanted
		}
		x = l.layer(x, i, pick)
	}
	b.Site("output", x)
	return l.norm(x, b.Param("norm"))
}

func (l *lowering) embed() *graph.Node {
	x := l.positioned(l.scaled(l.b.Embed(l.b.IDs("ids", l.B*l.T), l.b.Param("embed")), l.a.EmbedScale))
	if l.a.Types > 0 {
		x = l.b.AddRows(x, l.b.Param("token_types"), 1) // the first of them to every token
	}
	if l.a.EmbedNorm {
		x = l.norm(x, l.b.Param("embed_norm"))
	}
	return x
}

// positioned adds learned positions, where the family has them.
func (l *lowering) positioned(x *graph.Node) *graph.Node {
	table := l.b.Param("positions")
	switch {
	case !l.a.Learned:
		return x
	case l.cache != nil:
		return l.b.AddPositions(x, table, l.cache)
	case l.pos() != nil:
		return l.b.AddRowsAt(x, table, l.pos())
	}
	return l.b.AddRows(x, table, l.T)
}

// starts and pos are the documents of the sequences; nil for one each.
func (l *lowering) starts() *graph.Node { return l.documents("starts") }
func (l *lowering) pos() *graph.Node    { return l.documents("pos") }

func (l *lowering) documents(input string) *graph.Node {
	if !l.b.Documents() || l.cache != nil {
		return nil
	}
	return l.b.IDs(input, l.B*l.T)
}

// scaled is f·x; a factor of 0 stands for 1.
func (l *lowering) scaled(x *graph.Node, f float64) *graph.Node {
	if f == 0 || f == 1 {
		return x
	}
	return l.b.Scale(x, float32(f))
}

// norm normalises rows of x.
func (l *lowering) norm(x, gain *graph.Node) *graph.Node {
	if l.a.LayerNorm {
		return l.b.LayerNorm(x, gain, float32(l.a.Eps))
	}
	return l.b.RMSNorm(x, gain, graph.RMSNorm{Eps: float32(l.a.Eps), PlusOne: l.a.PlusOne})
}

// every picks all rows.
func every(x *graph.Node) *graph.Node { return x }

// layer is one block of which the rows that pick leaves are read.
func (l *lowering) layer(x *graph.Node, i int, pick func(*graph.Node) *graph.Node) *graph.Node {
	b := l.b
	b.Site(dim(i, "input"), x)
	in := x
	at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
	endLayer, endAttention := checkpoints(b)
	h := x
	if l.a.PreNorm && l.a.norm1(i) {
		h = l.norm(x, at("norm1"))
	}
	ctx := l.attention(h, i) // (N, G·R·VO)
	ctx, x = pick(ctx), pick(x)
	before := x
	x = l.join(x, output{at("post1"), at("scale1")}, func(residual *graph.Node) *graph.Node {
		return b.LinearIn(ctx, at("o"), at("o_bias"), residual)
	}) // (N, E)
	endAttention()
	if l.a.AddNorm {
		x = l.norm(x, at("norm1"))
	}
	b.Site(dim(i, "mid"), x)
	if h = x; l.a.Parallel {
		h = before
	}
	if l.a.PreNorm {
		h = l.norm(h, at("norm2"))
	}
	h = l.ffn(h, i) // (N, F)
	x = l.join(x, output{at("post2"), at("scale2")}, func(residual *graph.Node) *graph.Node {
		return b.LinearIn(h, at(l.a.down()), at(l.a.down()+"_bias"), residual)
	}) // (N, E)
	if l.a.AddNorm {
		x = l.norm(x, at("norm2"))
	}
	endLayer()
	if b.LayerGates() {
		b.TapLayer(param.WholeLayer(i), in, x, l.B)
	}
	return x
}

// output is what is done to what a sub-layer puts out: the gain of a norm, and what multiplies
// its columns.
type output struct{ post, scale *graph.Node }

// join adds what a sub-layer puts out to the residual stream x, normed and multiplied
// where the family does that.
func (l *lowering) join(x *graph.Node, of output, out func(residual *graph.Node) *graph.Node) *graph.Node {
	m := l.a.ResidualScale
	if !l.a.PostNorm && !l.a.Scaled && (m == 0 || m == 1) {
		return out(x)
	}
	y := out(nil)
	if l.a.PostNorm {
		y = l.norm(y, of.post)
	}
	if l.a.Scaled {
		y = l.b.ScaleColumns(y, of.scale)
	}
	if m == 0 {
		m = 1
	}
	return l.b.AddScaled(x, y, float32(m))
}

// attention is the contexts of the heads of layer i for normed rows h.
func (l *lowering) attention(h *graph.Node, i int) *graph.Node {
	a, b, w := l.a, l.b, Layer(l.b.Set(), i)
	pair := a.Pair(i)
	s := graph.Shape{
		B: l.B, T: l.T, G: w.KV, R: a.Repeat(), QK: pair * w.QK, VO: w.VO,
		Scale: float32(a.Scale), Causal: a.Causal, SoftCap: float32(a.SoftCap),
	}
	if a.Windows != nil {
		s.Window = a.Windows[i]
	}
	qkv := b.Linear(h, b.Param(dim(i, "qkv")), b.Param(dim(i, "qkv_bias"))) // (N, G·R·QK + G·QK + G·VO)
	raw := qkv
	if a.QKNorm != NoQKNorm {
		raw = b.Kept(raw)
		qkv = b.QKNorm(raw, b.Param(dim(i, "q_norm")), b.Param(dim(i, "k_norm")), s, a.qkNorm())
	}
	if pair == 2 {
		rope := a.rope(i)
		r := graph.Rotary{Freqs: floats(a.frequencies(b.Set(), i, false)), Length: l.T, Gain: float32(rope.Gain)}
		if rope.LongAfter > 0 {
			r.Long, r.LongAfter = floats(a.frequencies(b.Set(), i, true)), rope.LongAfter
		}
		if l.cache != nil {
			r.Length = l.cache.Capacity
		}
		qkv = b.RoPE(qkv, l.pos(), r, s, l.cache)
	}
	if l.cache != nil {
		return b.CachedAttention(qkv, s, i, l.cache)
	}
	qkv = b.Kept(qkv)
	b.Site(dim(i, "qkv"), qkv)
	l.taps(raw, qkv, s, i)
	ctx := b.Attention(qkv, l.starts(), s)
	b.Site(dim(i, "ctx"), ctx)
	return ctx
}

// qkNorm is the norm of queries and keys: over the columns that the dense model has,
// so that what pruning removed counts as zeros.
func (a *Arch) qkNorm() graph.QKNorm {
	n := graph.QKNorm{Eps: float32(a.Eps), PlusOne: a.PlusOne, AllHeads: a.QKNorm == AllQKNorm, Over: a.HeadDim}
	if n.AllHeads {
		n.Over *= a.Heads
	}
	return n
}

// taps are the gates of the coupled dimensions: taken at k and v, which a K/V head's
// query heads share. Before a norm of queries and keys the gate is on both sides.
func (l *lowering) taps(raw, qkv *graph.Node, s graph.Shape, i int) {
	set, pair := l.b.Set(), l.a.Pair(i)
	if d := set.LayerDim(i, param.QK); l.a.QKNorm != NoQKNorm {
		l.b.TapHeads(d.Name, raw, s, pair, d.Per == "")
	} else {
		l.b.Tap(dim(i, "qk"), qkv, s.B, s.G*s.R*s.QK, s.G*s.QK/pair, pair)
	}
	l.b.Tap(dim(i, "vo"), qkv, s.B, s.G*(s.R+1)*s.QK, s.G*s.VO, 1)
}

// ffn is the hidden channels of layer i on normed rows h: (N, F).
func (l *lowering) ffn(h *graph.Node, i int) *graph.Node {
	b, a := l.b, l.a
	at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
	switch {
	case !a.Gated:
		h = b.GELU(b.Kept(b.Linear(h, at("in"), at("in_bias"))), a.Act == TanhGELU) // (N, F)
	case a.Act == SiLU:
		h = b.SwiGLU(b.Kept(b.Linear(h, at("gate_up"), at("gate_up_bias")))) // (N, 2F), then (N, F)
	default:
		h = b.GeGLU(b.Kept(b.Linear(h, at("gate_up"), at("gate_up_bias"))), a.Act == TanhGELU)
	}
	b.Site(dim(i, "hidden"), h)
	b.Tap(dim(i, "ffn"), h, l.B, 0, b.Set().LayerDim(i, param.FFN).Size, 1)
	return h
}
