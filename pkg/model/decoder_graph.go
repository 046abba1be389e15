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

// hidden is the residual stream after the last norm, (N, E), from the layer `from`
// on; last asks for each sequence's last row only, (B, E).
func (m *decoder) hidden(b *graph.Builder, cache *graph.Cache, B, T, from int, last bool) *graph.Node {
	l := &lowering{a: m.a, b: b, cache: cache, B: B, T: T}
	x := start(b, B*T, m.a.Hidden, from, l.embed) // (N, E)
	for i := from; i < m.a.Layers; i++ {
		pick := all
		if last && i == m.a.Layers-1 {
			pick = func(x *graph.Node) *graph.Node { return lastRow(b, x, T) } // N = B from here on
		}
		x = l.layer(x, i, pick)
	}
	b.Site("output", x)
	return l.norm(x, b.Param("norm"))
}

func (l *lowering) embed() *graph.Node {
	x := l.scaled(l.b.Embed(l.b.IDs("ids", l.B*l.T), l.b.Param("embed")), l.a.EmbedScale)
	if !l.a.Learned {
		return x
	}
	if l.cache != nil {
		return l.b.AddPositions(x, l.b.Param("positions"), l.T, l.cache)
	}
	return l.b.AddRows(x, l.b.Param("positions"), l.T)
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
	eps := float32(l.a.Eps)
	if l.a.LayerNorm {
		return l.b.LayerNorm(x, gain, eps)
	}
	return l.b.RMSNorm(x, gain, graph.RMSNorm{Eps: eps})
}

// all picks all rows.
func all(x *graph.Node) *graph.Node { return x }

// layer is one block of which the rows that pick leaves are read.
func (l *lowering) layer(x *graph.Node, i int, pick func(*graph.Node) *graph.Node) *graph.Node {
	b := l.b
	b.Site(dim(i, "input"), x)
	at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
	endLayer, endAttention := checkpoints(b)
	h := x
	if l.a.PreNorm {
		h = l.norm(x, at("norm1"))
	}
	ctx := l.attention(h, i) // (N, G·R·VO)
	ctx, x = pick(ctx), pick(x)
	before := x
	x = l.join(x, at("post1"), func(residual *graph.Node) *graph.Node {
		return b.LinearIn(ctx, at("o"), at("o_bias"), residual)
	}) // (N, E)
	endAttention()
	b.Site(dim(i, "mid"), x)
	if h = x; l.a.Parallel {
		h = before
	}
	if l.a.PreNorm {
		h = l.norm(h, at("norm2"))
	}
	h = l.ffn(h, i) // (N, F)
	x = l.join(x, at("post2"), func(residual *graph.Node) *graph.Node {
		return b.LinearIn(h, at(l.a.down()), at(l.a.down()+"_bias"), residual)
	}) // (N, E)
	endLayer()
	return x
}

// join adds what a sub-layer puts out to the residual stream x, normed and multiplied
// where the family does that.
func (l *lowering) join(x, post *graph.Node, out func(residual *graph.Node) *graph.Node) *graph.Node {
	m := l.a.ResidualScale
	if !l.a.PostNorm && (m == 0 || m == 1) {
		return out(x)
	}
	y := out(nil)
	if l.a.PostNorm {
		y = l.norm(y, post)
	}
	return l.b.Add(x, l.scaled(y, m))
}

// attention is the contexts of the heads of layer i for normed rows h.
func (l *lowering) attention(h *graph.Node, i int) *graph.Node {
	b, w := l.b, Layer(l.b.Set(), i)
	pair := l.a.Pair(i)
	s := graph.Shape{
		B: l.B, T: l.T, G: w.KV, R: l.a.Repeat(), QK: pair * w.QK, VO: w.VO,
		Scale: float32(l.a.Scale), Causal: l.a.Causal,
	}
	qkv := b.Linear(h, b.Param(dim(i, "qkv")), b.Param(dim(i, "qkv_bias"))) // (N, G·R·QK + G·QK + G·VO)
	if pair == 2 {
		positions := l.T
		if l.cache != nil {
			positions = l.cache.Capacity
		}
		qkv = b.RoPE(qkv, nil, graph.Rotary{Freqs: floats(l.a.frequencies(b.Set(), i)), Length: positions}, s, l.cache)
	}
	return attend(b, qkv, s, i, l.cache, pair)
}

// ffn is the hidden channels of layer i on normed rows h: (N, F).
func (l *lowering) ffn(h *graph.Node, i int) *graph.Node {
	b, a := l.b, l.a
	at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
	if a.Gated {
		h = b.SwiGLU(b.Linear(h, at("gate_up"), at("gate_up_bias"))) // (N, 2F), then (N, F)
	} else {
		h = b.GELU(b.Linear(h, at("in"), at("in_bias")), a.Act == TanhGELU) // (N, F)
	}
	b.Site(dim(i, "hidden"), h)
	b.Tap(dim(i, "ffn"), h, l.B, 0, b.Set().LayerDim(i, param.FFN).Size, 1)
	return h
}
