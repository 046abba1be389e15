package graph

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

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

	// Long takes the place of Freqs in texts of more than LongAfter tokens: those are
	// sequences of so many tokens, documents where positions are given, and in decoding what
	// Cache.Long says. nil: Freqs serves every text.
	Long      [][]float32
	LongAfter int
}

// RoPE rotates the pairs of q and k in rows of q, k, v (see Shape) by their positions.
// These are pos, integers [B·T]; or, if pos is nil, in decoding those of the cache,
// and else 0, 1, ... in every sequence.
func (b *Builder) RoPE(qkv, pos *Node, r Rotary, s Shape, cache *Cache) *Node {
	if b.err != nil {
		return nil
	}
	for _, l := range append(r.Freqs[:len(r.Freqs):len(r.Freqs)], r.Long...) {
		if 2*len(l) > s.QK || len(l) != len(r.Freqs[0]) || len(l) == 0 || len(r.Freqs) != 1 && len(r.Freqs) != s.G {
			b.Fail(fmt.Errorf("graph: RoPE: %d lists of %d frequencies for %d K/V heads of %d columns", len(r.Freqs), len(l), s.G, s.QK))
			return nil
		}
	}
	if len(r.Freqs) == 0 || r.Length < s.T || r.Long != nil && (len(r.Long) != len(r.Freqs) || r.LongAfter < 1) {
		b.Fail(fmt.Errorf("graph: RoPE: %d lists of frequencies and %d of long texts, %d positions for %d tokens", len(r.Freqs), len(r.Long), r.Length, s.T))
		return nil
	}
	known := b.rotary
	if cache != nil {
		if cache.rotary == nil {
			cache.rotary = map[string]*rotary{}
		}
		known = cache.rotary
	}
	t := r.tables(known, pos != nil || cache != nil)
	switch {
	case pos != nil:
		return b.Apply(rope(s, t, false, true), qkv, pos)
	case cache != nil:
		return b.Apply(ropeAt(s, t, cache, b.number(cache)), qkv)
	}
	return b.Apply(rope(s, t, false, false), qkv)
}

// tables makes the tables of a rotation, unless they are known; mixed are those of texts of
// which some are long.
func (r Rotary) tables(known map[string]*rotary, mixed bool) *rotary {
	if r.Gain == 0 {
		r.Gain = 1
	}
	t := &rotary{lists: [2][]float32{slices.Concat(r.Freqs...), slices.Concat(r.Long...)}, after: r.LongAfter, length: r.Length, gain: r.Gain}
	freqs, long := t.lists[0], len(t.lists[1]) > 0 && r.Length > r.LongAfter
	switch {
	case long && mixed:
		t.short = r.LongAfter
	case long:
		freqs = t.lists[1]
	}
	h := fnv.New64a()
	for _, list := range t.lists {
		for _, f := range list {
			var word [4]byte
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(f))
			h.Write(word[:])
		}
	}
	t.key = fmt.Sprintf("%dx%d %d+%d gain %g %016x", len(r.Freqs), len(freqs), t.short, r.Length, r.Gain, h.Sum64())
	if t, ok := known[t.key]; ok {
		return t
	}
	n := (t.short + r.Length) * len(freqs)
	t.Rotary = kernel.Rotary{Cos: make([]float32, n), Sin: make([]float32, n), Pairs: len(r.Freqs[0]), PerHead: len(r.Freqs) > 1}
	at := t.short * len(freqs)
	if t.short > 0 {
		kernel.RoPETable(t.Cos[:at], t.Sin[:at], freqs, t.short, r.Gain)
		freqs = t.lists[1]
	}
	kernel.RoPETable(t.Cos[at:], t.Sin[at:], freqs, r.Length, r.Gain)
	known[t.key] = t
	return t
}

// rotary is the rotation tables of one layer, shared by all layers with the same frequencies.
type rotary struct {
	kernel.Rotary
	key    string       // identifies the rotation
	lists  [2][]float32 // frequencies, one list after the other; those of long texts
	after  int          // longer texts are long
	length int          // positions of the tables
	short  int          // rows of the tables for texts that are not long, before those of long ones; 0 where all have the same
	gain   float32
	at     []int32 // see rows
}

// rows are the rows of the tables for the positions of documents, in sequences of T tokens.
func (t *rotary) rows(pos []int32, T int) []int32 {
	if t.short == 0 {
		return pos
	}
	t.at = append(t.at[:0], pos...)
	for last := len(pos) - 1; last >= 0; { // of a document
		first := max(last-int(pos[last]), last/T*T)
		if int(pos[last]) >= t.short {
			for i := first; i <= last; i++ {
				t.at[i] += int32(t.short)
			}
		}
		last = first - 1
	}
	return t.at
}

// starts are the rows of the tables for the next token of each sequence of a cache.
func (t *rotary) starts(c *Cache) []int32 {
	if t.short == 0 {
		return c.Pos
	}
	t.at = append(t.at[:0], c.Pos...)
	for i := range t.at {
		if c.long(i) {
			t.at[i] += int32(t.short)
		}
	}
	return t.at
}

// fits fails when a sequence of a cache goes beyond its tables.
func (t *rotary) fits(c *Cache, s Shape) error {
	for i, p := range c.Pos[:min(s.B, len(c.Pos))] {
		if t.short > 0 && !c.long(i) && int(p)+s.T > t.short {
			return fmt.Errorf("sequence %d has %d tokens; %d more make it longer than %d, which it was not to be", i, p, s.T, t.short)
		}
	}
	return c.fits(s.B, t.length)
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
		Run:        func(c *Call) { run(c.Pool, c.Out, c.In[0].F, t.Rotary, s, t.rows(c.optionalIDs(1), s.T)) },
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
		Run:        func(c *Call) { kernel.RoPEAt(c.Pool, c.Out, c.In[0].F, t.Rotary, s, t.starts(cache)) },
		Overwrites: []int{0},
		Check:      func(*Call) error { return t.fits(cache, s) },
	}
}
