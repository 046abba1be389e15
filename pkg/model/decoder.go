package model

import (
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// attend is attention over rows of q, k, v with the taps of its two coupled
// dimensions; in decoding it reads and extends the cache instead. pair is the
// number of columns of a qk unit.
func attend(b *graph.Builder, qkv *graph.Node, s graph.Shape, layer int, cache *graph.Cache, pair int) *graph.Node {
	if cache != nil {
		return b.CachedAttention(qkv, s, layer, cache)
	}
	// The gates are taken at k and v, which a K/V head's query heads share.
	b.Tap(dim(layer, "qk"), qkv, s.B, s.G*s.R*s.QK, s.G*s.QK/pair, pair)
	b.Tap(dim(layer, "vo"), qkv, s.B, s.G*(s.R+1)*s.QK, s.G*s.VO, 1)
	return b.Attention(qkv, s)
}

// logits makes the output "logits" from the last hidden state x [B·T, E]: of
// each sequence's last token [B, V], or of all tokens [B·T, V].
func logits(b *graph.Builder, x, head *graph.Node, T int, all bool) {
	if !all && T > 1 {
		x = b.Rows(x, T, T-1)
	}
	b.Output("logits", b.Linear(x, head, nil))
}

// cacheWidths is the floats a token of keys and of values in each layer; pair is
// the number of columns of a qk unit.
func cacheWidths(set *param.Set, layers, pair int) [][2]int {
	out := make([][2]int, layers)
	for i := range out {
		w := Layer(set, i)
		out[i] = [2]int{w.KV * w.QK * pair, w.KV * w.VO}
	}
	return out
}

// whole is a tensor that is one parameter, laid out alike.
func whole(name, param string) checkpoint.Tensor {
	return checkpoint.Tensor{Name: name, Parts: []checkpoint.Part{{Param: param}}}
}
