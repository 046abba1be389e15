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
	x := l.b.Embed(l.b.IDs("ids", l.B*l.T), l.b.Param("embed"))
	if !l.a.Learned {
		return x
	}
	if l.cache != nil {
		return l.b.AddPositions(x, l.b.Param("positions"), l.T, l.cache)
	}
	return l.b.AddRows(x, l.b.Param("positions"), l.T)
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
	ctx := l.attention(l.norm(x, at("norm1")), i) // (N, G·R·VO)
	ctx, x = pick(ctx), pick(x)
	x = b.LinearIn(ctx, at("o"), at("o_bias"), x) // (N, E)
	endAttention()
	b.Site(dim(i, "mid"), x)
	x = l.ffn(l.norm(x, at("norm2")), x, i) // (N, E)
	endLayer()
	return x
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

// ffn is the feed-forward network of layer i on normed rows h, added to x.
func (l *lowering) ffn(h, x *graph.Node, i int) *graph.Node {
	b, a := l.b, l.a
	at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
	out := "out"
	if a.Gated {
		out = "down"
		h = b.SwiGLU(b.Linear(h, at("gate_up"), at("gate_up_bias"))) // (N, 2F), then (N, F)
	} else {
		h = b.GELU(b.Linear(h, at("in"), at("in_bias")), a.Act == TanhGELU) // (N, F)
	}
	b.Site(dim(i, "hidden"), h)
	b.Tap(dim(i, "ffn"), h, l.B, 0, b.Set().LayerDim(i, param.FFN).Size, 1)
	return b.LinearIn(h, at(out), at(out+"_bias"), x) // (N, E)
}
