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
	name := fmt.Sprintf("B %d T %d G %d R %d qk %d vo %d scale %g causal %t", s.B, s.T, s.G, s.R, s.QK, s.VO, s.Scale, s.Causal)
	if s.Window > 0 {
		name += fmt.Sprintf(" window %d", s.Window)
	}
	if s.SoftCap > 0 {
		name += fmt.Sprintf(" cap %g", s.SoftCap)
	}
	return name
}

func checkQKV(in tensor.Shape, s Shape) error {
	if s.B < 1 || s.T < 1 || s.G < 1 || s.R < 1 || s.QK < 1 || s.VO < 1 {
		return errors.New("sizes are not all positive")
	}
	if n, w := MatrixShape(in); n != s.B*s.T || w != s.Width() {
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
	t := b.tables(freqs, length)
	if cache != nil {
		return b.Apply(ropeAt(s, t, cache, b.number(cache)), qkv)
	}
	return b.Apply(rope(s, t, false), qkv)
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
	t := &rotary{key: key, freqs: flat, Rotary: kernel.Rotary{
		Cos: make([]float32, n), Sin: make([]float32, n), Pairs: len(freqs[0]), PerHead: len(freqs) > 1,
	}}
	kernel.RoPETable(t.Cos, t.Sin, flat, length, 1)
	b.rotary[key] = t
	return t
}

// Attention is softmax attention over rows of q, k, v: (B·T, G·R·VO).
func (b *Builder) Attention(qkv *Node, s Shape) *Node { return b.Apply(attention(s), qkv) }

// rotary is the rotation tables of one layer, shared by all layers with the same frequencies.
type rotary struct {
	kernel.Rotary
	key   string    // identifies the frequencies
	freqs []float32 // one list after the other
}

// rope rotates q and k of every row by its position in the sequence; inverse is its
// gradient.
func rope(s Shape, t *rotary, inverse bool) *Op {
	name, run := "RoPE", kernel.RoPEForward
	if inverse {
		name, run = "RoPEBackward", kernel.RoPEBackward
	}
	op := &Op{
		Name:       fmt.Sprintf("%s(%s freqs %s)", name, attnName(s), t.key),
		Shape:      func(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), checkQKV(in[0], s) },
		Run:        func(c *Call) { run(c.Pool, c.Out, c.In[0].F, t.Rotary, s, nil) },
		Overwrites: []int{0},
		Backward: func(_ gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			d, err := Apply(rope(s, t, !inverse), dy)
			return gorgonia.Nodes{d}, err
		},
	}
	if !inverse {
		op.ONNX = func(x *ONNX) string { return t.onnx(x, s) }
	}
	return op
}

// ropeAt is rope for decoding: positions are those of the cache when it runs.
func ropeAt(s Shape, t *rotary, cache *Cache, number int) *Op {
	pairs := t.Pairs
	if t.PerHead {
		pairs *= s.G
	}
	return &Op{
		Name:       fmt.Sprintf("RoPEAt(%s freqs %s cache %d)", attnName(s), t.key, number),
		Shape:      func(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), checkQKV(in[0], s) },
		Run:        func(c *Call) { kernel.RoPEAt(c.Pool, c.Out, c.In[0].F, t.Rotary, s, cache.Pos) },
		Overwrites: []int{0},
		Check:      func(*Call) error { return cache.fits(s.B, s.T, len(t.Cos)/pairs) }, // within the tables
	}
}

// attention is softmax(scale·q·kᵀ)·v over rows of q, k, v side by side. It
// saves the log-sum-exp of each query, [B·H·T].
func attention(s Shape) *Op {
	return &Op{
		Name: "Attention(" + attnName(s) + ")",
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			return tensor.Shape{s.B * s.T, s.G * s.R * s.VO}, checkQKV(in[0], s)
		},
		Run:   func(c *Call) { kernel.AttentionForward(c.Pool, c.Out, c.Saved[0], c.In[0].F, nil, s) },
		Saves: func([]tensor.Shape) []int { return []int{s.B * s.G * s.R * s.T} },
		FLOPs: func([]tensor.Shape, tensor.Shape) int64 { return attentionFLOPs(s) },
		Backward: func(in gorgonia.Nodes, ctx, dctx *Node) (gorgonia.Nodes, error) {
			d, err := Apply(attentionBackward(s), in[0], ctx, dctx)
			return gorgonia.Nodes{d}, err
		},
		ONNX: func(x *ONNX) string { return attentionONNX(x, s) },
	}
}

// attentionFLOPs counts the scores and the context; causal attention needs half of each.
func attentionFLOPs(s Shape) int64 {
	n := 2 * int64(s.B) * int64(s.G) * int64(s.R) * int64(s.T) * int64(s.T) * int64(s.QK+s.VO)
	if s.Causal {
		n /= 2
	}
	return n
}

// attentionBackward is the gradient of q, k, v; operands q, k, v, the context and its
// gradient. It counts what the gradients need, twice the forward pass: recomputing the
// scores is the kernel's own affair.
func attentionBackward(s Shape) *Op {
	return &Op{
		Name:  "AttentionBackward(" + attnName(s) + ")",
		Shape: sameShape(0),
		Run: func(c *Call) {
			kernel.AttentionBackward(c.Pool, c.Out, c.In[2].F, c.In[1].F, c.In[1].Saved[0], c.In[0].F, nil, s)
		},
		SavedOf: []int{1},
		FLOPs:   func([]tensor.Shape, tensor.Shape) int64 { return 2 * attentionFLOPs(s) },
	}
}
