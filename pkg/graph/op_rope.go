package graph

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// Rotary says how queries and keys rotate with their positions.
type Rotary struct {
	// Freqs has the angle a position of each pair, one list for each K/V head or one for
	// all. The pairs are a head's first columns, two by two; columns beyond do not rotate.
	Freqs  [][]float32
	Length int     // positions that the tables must reach
	Gain   float32 // multiplies what rotates, 0 is 1: the attention factor of a stretched rotation
}

// RoPE rotates the pairs of q and k in rows of q, k, v (see Shape) by their positions.
// These are pos, integers [B·T]; or, if pos is nil, in decoding those of the cache,
// and else 0, 1, ... in every sequence.
func (b *Builder) RoPE(qkv, pos *Node, r Rotary, s Shape, cache *Cache) *Node {
	if b.err != nil {
		return nil
	}
	for _, l := range r.Freqs {
		if 2*len(l) > s.QK || len(l) != len(r.Freqs[0]) || len(l) == 0 || len(r.Freqs) != 1 && len(r.Freqs) != s.G {
			b.Fail(fmt.Errorf("graph: RoPE: %d lists of %d frequencies for %d K/V heads of %d columns", len(r.Freqs), len(l), s.G, s.QK))
			return nil
		}
	}
	if len(r.Freqs) == 0 || r.Length < s.T {
		b.Fail(fmt.Errorf("graph: RoPE: %d lists of frequencies, %d positions for %d tokens", len(r.Freqs), r.Length, s.T))
		return nil
	}
	known := b.rotary
	if cache != nil {
		if cache.rotary == nil {
			cache.rotary = map[string]*rotary{}
		}
		known = cache.rotary
	}
	t := r.tables(known)
	switch {
	case pos != nil:
		return b.Apply(rope(s, t, false, true), qkv, pos)
	case cache != nil:
		return b.Apply(ropeAt(s, t, cache, b.number(cache)), qkv)
	}
	return b.Apply(rope(s, t, false, false), qkv)
}

// tables makes the tables of a rotation, unless they are known.
func (r Rotary) tables(known map[string]*rotary) *rotary {
	if r.Gain == 0 {
		r.Gain = 1
	}
	h := fnv.New64a()
	var flat []float32
	for _, l := range r.Freqs {
		flat = append(flat, l...)
	}
	for _, f := range flat {
		var word [4]byte
		binary.LittleEndian.PutUint32(word[:], math.Float32bits(f))
		h.Write(word[:])
	}
	key := fmt.Sprintf("%dx%d %d gain %g %016x", len(r.Freqs), len(flat), r.Length, r.Gain, h.Sum64())
	if t, ok := known[key]; ok {
		return t
	}
	n := r.Length * len(flat)
	t := &rotary{key: key, freqs: flat, length: r.Length, gain: r.Gain, Rotary: kernel.Rotary{
		Cos: make([]float32, n), Sin: make([]float32, n), Pairs: len(r.Freqs[0]), PerHead: len(r.Freqs) > 1,
	}}
	kernel.RoPETable(t.Cos, t.Sin, flat, r.Length, r.Gain)
	known[key] = t
	return t
}

// rotary is the rotation tables of one layer, shared by all layers with the same frequencies.
type rotary struct {
	kernel.Rotary
	key    string    // identifies the rotation
	freqs  []float32 // one list after the other
	length int       // positions of the tables
	gain   float32
}

// rope rotates q and k of every row by its position in the sequence, or where they are
// given by the positions of operand 1; inverse is its gradient.
func rope(s Shape, t *rotary, inverse, given bool) *Op {
	name, run := "RoPE", kernel.RoPEForward
	if inverse {
		name, run = "RoPEBackward", kernel.RoPEBackward
	}
	op := &Op{
		Name: fmt.Sprintf("%s(%s freqs %s)", name, attnName(s), t.key),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if given && in[1].TotalSize() != s.B*s.T {
				return nil, fmt.Errorf("%d positions for %d tokens", in[1].TotalSize(), s.B*s.T)
			}
			return in[0].Clone(), checkQKV(in[0], s)
		},
		Run:        func(c *Call) { run(c.Pool, c.Out, c.In[0].F, t.Rotary, s, c.optionalIDs(1)) },
		Overwrites: []int{0},
		Backward: func(in gorgonia.Nodes, _, dy *Node) (gorgonia.Nodes, error) {
			grads := make(gorgonia.Nodes, len(in))
			var err error
			grads[0], err = Apply(rope(s, t, !inverse, given), append(gorgonia.Nodes{dy}, in[1:]...)...)
			return grads, err
		},
	}
	switch {
	case given:
		op.NoGradient = []int{1}
		op.IDs = func([]tensor.Shape) IDs { return IDs{1, 0, int32(t.length)} }
	case !inverse:
		op.ONNX = func(x *ONNX) string { return t.onnx(x, s) }
	}
	return op
}

// ropeAt is rope for decoding: positions are those of the cache when it runs.
func ropeAt(s Shape, t *rotary, cache *Cache, number int) *Op {
	return &Op{
		Name:       fmt.Sprintf("RoPEAt(%s freqs %s cache %d)", attnName(s), t.key, number),
		Shape:      func(in []tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), checkQKV(in[0], s) },
		Run:        func(c *Call) { kernel.RoPEAt(c.Pool, c.Out, c.In[0].F, t.Rotary, s, cache.Pos) },
		Overwrites: []int{0},
		Check:      func(*Call) error { return cache.fits(s.B, s.T, t.length) }, // within the tables
	}
}
