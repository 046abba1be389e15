package graph

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"

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
	if s.B < 1 || s.T < 1 || s.G < 1 || s.R < 1 || s.QK < 1 || s.VO < 1 {
		return errors.New("sizes are not all positive")
	}
	if n, w := rows(in); n != s.B*s.T || w != s.Width() {
		return fmt.Errorf("q, k, v are %d x %d, expected %d x %d", n, w, s.B*s.T, s.Width())
	}
	return nil
}

// RoPE rotates the pairs of q and k in rows of q, k, v (see Shape). freqs has the
// angle a position of each pair, one list for each K/V head or one for all;
// length is the number of positions the tables must reach. In decoding, cache
// gives each sequence's position; else it is nil and every sequence starts at 0.
func (b *Builder) RoPE(qkv *Node, freqs [][]float32, s Shape, length int, cache *Cache) *Node {
	if b.err != nil {
		return nil
	}
	for _, l := range freqs {
		if 2*len(l) != s.QK || len(freqs) != 1 && len(freqs) != s.G {
			b.Fail(fmt.Errorf("graph: RoPE: %d lists of %d frequencies for %d K/V heads of %d columns", len(freqs), len(l), s.G, s.QK))
			return nil
		}
	}
	if len(freqs) == 0 || length < s.T {
		b.Fail(fmt.Errorf("graph: RoPE: %d lists of frequencies, %d positions for %d tokens", len(freqs), length, s.T))
		return nil
	}
	return b.apply(rope{s: s, tables: b.tables(freqs, length), cache: cache}, qkv)
}

// tables makes the tables of these frequencies, once.
func (b *Builder) tables(freqs [][]float32, length int) *rotary {
	h := fnv.New64a()
	var flat []float32
	for _, l := range freqs {
		flat = append(flat, l...)
	}
	for _, f := range flat {
		var word [4]byte
		binary.LittleEndian.PutUint32(word[:], math.Float32bits(f))
		h.Write(word[:])
	}
	key := fmt.Sprintf("%dx%d %d %016x", len(freqs), len(flat), length, h.Sum64())
	if t, ok := b.rotary[key]; ok {
		return t
	}
	n := length * len(flat)
	t := &rotary{key: key, cos: make([]float32, n), sin: make([]float32, n), perHead: len(freqs) > 1}
	kernel.RoPETable(t.cos, t.sin, flat, length)
	b.rotary[key] = t
	return t
}

// Attention is softmax attention over rows of q, k, v: (B·T, G·R·VO).
func (b *Builder) Attention(qkv *Node, s Shape) *Node { return b.apply(attention{s}, qkv) }

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
	what := "RoPE"
	switch {
	case o.inverse:
		what = "RoPEBackward"
	case o.cache != nil:
		what = "RoPEAt"
	}
	return fmt.Sprintf("%s(%s freqs %s)", what, attnName(o.s), o.tables.key)
}

func (o rope) shape(in []tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), checkQKV(in[0], o.s)
}

func (o rope) overwrites() []int  { return []int{0} }
func (o rope) diffs(n int) []bool { return allTrue(n) }

// check fails when a position is beyond the tables.
func (o rope) check(c *call) error {
	if o.cache == nil {
		return nil
	}
	pairs := o.s.QK / 2
	if o.tables.perHead {
		pairs *= o.s.G
	}
	return o.cache.fits(o.s.B, o.s.T, len(o.tables.cos)/pairs)
}

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

func (o attention) saved([]tensor.Shape) []int { return []int{o.s.B * o.s.G * o.s.R * o.s.T} }
func (o attention) diffs(n int) []bool         { return allTrue(n) }
func (o attention) run(c *call)                { kernel.AttentionForward(c.pool, c.out, c.saved[0], c.in[0].f, o.s) }

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
	kernel.AttentionBackward(c.pool, c.out, c.in[2].f, c.in[1].f, c.in[1].saved[0], c.in[0].f, o.s)
}

// flops is what the gradients need, twice the forward pass; recomputing the
// scores is the kernel's own affair.
func (o attentionBackward) flops(in []tensor.Shape, out tensor.Shape) int64 {
	return 2 * attention(o).flops(in, out)
}
