package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Shape is attention's: see kernel.AttnShape.
type Shape = kernel.AttnShape

func attnName(s Shape) string {
	return fmt.Sprintf("B %d T %d G %d R %d qk %d vo %d scale %g causal %t", s.B, s.T, s.G, s.R, s.QK, s.VO, s.Scale, s.Causal)
}

func checkQKV(in tensor.Shape, s Shape) error {
	if n, w := rows(in); n != s.B*s.T || w != s.Width() {
		return fmt.Errorf("q, k, v are %d x %d, expected %d x %d", n, w, s.B*s.T, s.Width())
	}
	return nil
}

// rotary is the rotation tables of one layer, shared by all layers with the same frequencies.
type rotary struct {
	key      string // identifies the frequencies
	cos, sin []float32
	perHead  bool
}

// rope rotates q and k of every row by its position; inverse is its gradient.
type rope struct {
	s       Shape
	tables  *rotary
	inverse bool
	cache   *Cache // positions of decoding, nil in training
}

func (o rope) name() string {
	return fmt.Sprintf("RoPE(%s freqs %s inverse %t)", attnName(o.s), o.tables.key, o.inverse)
}

func (o rope) shape(in []tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), checkQKV(in[0], o.s)
}

func (o rope) overwrites() int    { return 0 }
func (o rope) diffs(n int) []bool { return allTrue(n) }

func (o rope) run(c *call) {
	t := o.tables
	switch {
	case o.cache != nil:
		kernel.RoPEAt(c.pool, c.out, c.in[0].f, t.cos, t.sin, o.s, t.perHead, o.cache.Pos)
	case o.inverse:
		kernel.RoPEBackward(c.pool, c.out, c.in[0].f, t.cos, t.sin, o.s, t.perHead, 0)
	default:
		kernel.RoPEForward(c.pool, c.out, c.in[0].f, t.cos, t.sin, o.s, t.perHead, 0)
	}
}

func (o rope) backward(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
	o.inverse = !o.inverse
	d, err := apply(o, dy)
	return gorgonia.Nodes{d}, err
}

// attention is softmax(scale·q·kᵀ)·v over rows of q, k, v side by side. It
// saves the log-sum-exp of each query, [B·H·T].
type attention struct{ s Shape }

func (o attention) name() string { return "Attention(" + attnName(o.s) + ")" }

func (o attention) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{o.s.B * o.s.T, o.s.G * o.s.R * o.s.VO}, checkQKV(in[0], o.s)
}

func (o attention) saved([]tensor.Shape) int { return o.s.B * o.s.G * o.s.R * o.s.T }
func (o attention) diffs(n int) []bool       { return allTrue(n) }
func (o attention) run(c *call)              { kernel.AttentionForward(c.pool, c.out, c.saved, c.in[0].f, o.s) }

// flops counts the scores and the context; causal attention needs half of each.
func (o attention) flops([]tensor.Shape, tensor.Shape) int64 {
	s := o.s
	n := 2 * int64(s.B) * int64(s.G) * int64(s.R) * int64(s.T) * int64(s.T) * int64(s.QK+s.VO)
	if s.Causal {
		n /= 2
	}
	return n
}

func (o attention) backward(in gorgonia.Nodes, ctx, dctx *Node) (gorgonia.Nodes, error) {
	d, err := apply(attentionBackward(o), in[0], ctx, dctx)
	return gorgonia.Nodes{d}, err
}

type attentionBackward struct{ s Shape }

func (o attentionBackward) name() string                                  { return "AttentionBackward(" + attnName(o.s) + ")" }
func (o attentionBackward) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }
func (o attentionBackward) readsSaved() (int, bool)                       { return 1, true }
func (o attentionBackward) run(c *call) {
	kernel.AttentionBackward(c.pool, c.out, c.in[2].f, c.in[1].f, c.in[1].saved, c.in[0].f, o.s)
}

// flops is what the gradients need, twice the forward pass; recomputing the
// scores is the kernel's own affair.
func (o attentionBackward) flops(in []tensor.Shape, out tensor.Shape) int64 {
	return 2 * attention(o).flops(in, out)
}

// Cache is the keys and values of earlier tokens of B sequences, one layer
// after the other, and the positions at which the next tokens stand. It is the
// state of decoding; the graph reads and writes it when it runs.
type Cache struct {
	Capacity int     // tokens a sequence can reach
	Pos      []int32 // [B], tokens that each sequence has so far
	K, V     [][]float32
}

// cachedAttention appends the new tokens' keys and values to the cache and
// attends over all of it.
type cachedAttention struct {
	s     Shape
	layer int
	cache *Cache
}

func (o cachedAttention) name() string {
	return fmt.Sprintf("CachedAttention(%s layer %d)", attnName(o.s), o.layer)
}

func (o cachedAttention) shape(in []tensor.Shape) (tensor.Shape, error) {
	return attention{o.s}.shape(in)
}

func (o cachedAttention) run(c *call) {
	k, v := o.cache.K[o.layer], o.cache.V[o.layer]
	kernel.CacheAppend(c.pool, k, v, c.in[0].f, o.s, o.cache.Capacity, o.cache.Pos)
	kernel.AttentionDecode(c.pool, c.out, c.in[0].f, k, v, o.s, o.cache.Capacity, o.cache.Pos)
}
