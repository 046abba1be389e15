package model

import (
	"github.com/ecospa/ecospa/pkg/graph"
)

// attend is attention over rows of q, k, v with the taps of its two coupled
// dimensions; in decoding it reads and extends the cache instead. pair is the
// number of columns of a qk unit.
func attend(b *graph.Builder, qkv *graph.Node, s graph.Shape, layer int, cache *graph.Cache, pair int) *graph.Node {
	if cache != nil {
		return b.CachedAttention(qkv, s, layer, cache)
	}
	b.Site(dim(layer, "qkv"), qkv)
	// The gates are taken at k and v, which a K/V head's query heads share.
	b.Tap(dim(layer, "qk"), qkv, s.B, s.G*s.R*s.QK, s.G*s.QK/pair, pair)
	b.Tap(dim(layer, "vo"), qkv, s.B, s.G*(s.R+1)*s.QK, s.G*s.VO, 1)
	ctx := b.Attention(qkv, nil, s)
	b.Site(dim(layer, "ctx"), ctx)
	return ctx
}

// checkpoints begins a layer's two checkpoints: around all of it, and from its
// first norm to its attention's output projection (graph.Recompute).
func checkpoints(b *graph.Builder) (endLayer, endAttention func()) {
	endLayer = b.Checkpoint(graph.RecomputeLayer)
	return endLayer, b.Checkpoint(graph.RecomputeAttention)
}

// start is where a graph begins: at the embedding, or with the residual stream
// that enters layer `from`, the input "hidden" [N, E].
func start(b *graph.Builder, n, e, from int, embed func() *graph.Node) *graph.Node {
	if from > 0 {
		return b.Floats("hidden", n, e)
	}
	return embed()
}

// lastRow is the last of each sequence's T rows.
func lastRow(b *graph.Builder, x *graph.Node, T int) *graph.Node {
	if T == 1 {
		return x
	}
	return b.Rows(x, T, T-1)
}
