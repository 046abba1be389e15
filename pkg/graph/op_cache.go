package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// CachedAttention is attention of new tokens over the cache of one layer, to
// which it adds them: (B, G·R·VO), rows of one token each. It has no gradient.
func (b *Builder) CachedAttention(qkv *Node, s Shape, layer int, cache *Cache) *Node {
	if b.err == nil && (cache == nil || layer < 0 || layer >= len(cache.K) || layer >= len(cache.V)) {
		b.Fail(fmt.Errorf("graph: CachedAttention: the cache has no layer %d", layer))
	}
	return b.Apply(cachedAttention(s, layer, cache, b.number(cache)), qkv)
}

// AddPositions is AddRows for decoding, at the positions of the cache.
func (b *Builder) AddPositions(x, pos *Node, cache *Cache) *Node {
	return b.Apply(addPositions(cache, b.number(cache)), x, pos)
}

// Cache is the keys and values of earlier tokens of any number of sequences, in pages of
// PageTokens tokens, one layer after the other. It is the state of decoding; the graph
// reads and writes it when it runs. A graph of B rows takes any B tokens of any
// sequences: Spans says whose they are, and what rows of no span give has no meaning.
type Cache struct {
	Capacity   int         // tokens a sequence can reach
	Pos        []int32     // [B], position of each row in its sequence
	K          [][]float32 // by layer: [pages, G, PageTokens, QK], rotated
	V          [][]float32 // by layer: [pages, G, PageTokens, VO]
	PageTokens int
	Spans      []kernel.Span

	// Long says of each row whether it turns as a long text does (see
	// Rotary.Long); nil: all of them.
	Long []bool

	rotary map[string]*rotary // tables of all graphs that use the cache
}

// long reports whether row i is of a long text.
func (c *Cache) long(i int) bool { return c.Long == nil || i < len(c.Long) && c.Long[i] }

// fits reports whether each of b rows has a position within limit.
func (c *Cache) fits(b, limit int) error {
	if len(c.Pos) < b {
		return fmt.Errorf("the cache has %d positions, expected %d", len(c.Pos), b)
	}
	for i, p := range c.Pos[:b] {
		if p < 0 || int(p) >= limit {
			return fmt.Errorf("row %d stands at position %d, expected 0 to %d", i, p, limit-1)
		}
	}
	return nil
}

// cachedAttention appends the new tokens' keys and values to the cache and
// attends over all of it.
func cachedAttention(s Shape, layer int, cache *Cache, number int) *Op {
	return &Op{
		Name: fmt.Sprintf("CachedAttention(%s layer %d cache %d)", attnName(s), layer, number),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) {
			switch {
			case !s.Causal:
				return nil, errors.New("decoding is causal")
			case s.T != 1:
				return nil, fmt.Errorf("a cache takes rows of one token, found sequences of %d", s.T)
			}
			return tensor.Shape{s.B, s.G * s.R * s.VO}, checkQKV(in[0], s)
		},
		Run: func(c *Call) {
			k, v := cache.K[layer], cache.V[layer]
			kernel.PagedAttention(c.Pool, c.Out, c.In[0].F, k, v, s, cache.PageTokens, cache.Spans)
		},
		Check: func(*Call) error { return cache.spansFit(s, layer) },
	}
}

// addPositions is addRows for decoding: each row stands at a position of its own, which is
// read when the operation runs.
func addPositions(cache *Cache, number int) *Op {
	return &Op{
		Name:  fmt.Sprintf("AddPositions(cache %d)", number),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) { return positionShape(in, 1) },
		Run: func(c *Call) {
			e := c.Cols
			for n := range c.Rows {
				x, p, y := c.In[0].F[n*e:][:e], c.In[1].F[int(cache.Pos[n])*e:][:e], c.Out[n*e:][:e]
				for i := range y {
					y[i] = x[i] + p[i]
				}
			}
		},
		Overwrites: []int{0},
		Check:      func(c *Call) error { return cache.fits(c.Rows, c.In[1].Rows) }, // within the table
	}
}
