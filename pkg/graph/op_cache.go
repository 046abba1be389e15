package graph

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// CachedAttention is attention of new tokens over the cache of one layer, to
// which it adds them: (B·T, G·R·VO). It has no gradient.
func (b *Builder) CachedAttention(qkv *Node, s Shape, layer int, cache *Cache) *Node {
	if b.err == nil && (cache == nil || layer < 0 || layer >= len(cache.K) || layer >= len(cache.V)) {
		b.Fail(fmt.Errorf("graph: CachedAttention: the cache has no layer %d", layer))
	}
	return b.Apply(cachedAttention(s, layer, cache, b.number(cache)), qkv)
}

// AddPositions is AddRows for decoding, at the positions of the cache.
func (b *Builder) AddPositions(x, pos *Node, t int, cache *Cache) *Node {
	return b.Apply(addPositions(t, cache, b.number(cache)), x, pos)
}

// Cache is the keys and values of earlier tokens of B sequences, one layer
// after the other, and the positions at which the next tokens stand. It is the
// state of decoding; the graph reads and writes it when it runs.
//
// With PageTokens the keys and values of any number of sequences lie in pages, by
// layer [pages, G, PageTokens, width], and a graph of B sequences of one token each
// takes any B rows of any of them: Spans says whose they are. Pos is then the
// position of each row; what rows of no span give has no meaning.
type Cache struct {
	Capacity int         // tokens a sequence can reach
	Pos      []int32     // [B], tokens that each sequence has so far
	K        [][]float32 // by layer: [B, G, Capacity, QK], rotated
	V        [][]float32 // by layer: [B, G, Capacity, VO]

	PageTokens int // tokens of a page; 0 is no pages
	Spans      []kernel.Span

	// Long says of each sequence, or row of pages, whether it turns as a long text does (see
	// Rotary.Long); nil: all of them.
	Long []bool

	rotary map[string]*rotary // tables of all graphs that use the cache
}

// long reports whether sequence i, or row, is a long text.
func (c *Cache) long(i int) bool { return c.Long == nil || i < len(c.Long) && c.Long[i] }

// fits reports whether each of b sequences has room for t more tokens within limit.
func (c *Cache) fits(b, t, limit int) error {
	if len(c.Pos) < b {
		return fmt.Errorf("the cache has %d sequences, expected %d", len(c.Pos), b)
	}
	for i, p := range c.Pos[:b] {
		if p < 0 || int(p)+t > limit {
			return fmt.Errorf("sequence %d has %d tokens; %d more do not fit the limit of %d", i, p, t, limit)
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
			if !s.Causal {
				return nil, errors.New("decoding is causal")
			}
			return tensor.Shape{s.B * s.T, s.G * s.R * s.VO}, checkQKV(in[0], s)
		},
		Run: func(c *Call) {
			k, v := cache.K[layer], cache.V[layer]
			if cache.PageTokens > 0 {
				kernel.PagedAppend(c.Pool, k, v, c.In[0].F, s, cache.PageTokens, cache.Spans)
				kernel.PagedAttention(c.Pool, c.Out, c.In[0].F, k, v, s, cache.PageTokens, cache.Spans)
				return
			}
			kernel.CacheAppend(c.Pool, k, v, c.In[0].F, s, cache.Capacity, cache.Pos)
			kernel.AttentionDecode(c.Pool, c.Out, c.In[0].F, k, v, s, cache.Capacity, cache.Pos)
		},
		Check: func(*Call) error {
			if cache.PageTokens > 0 {
				return cache.spansFit(s, layer)
			}
			rows := s.B * s.G * cache.Capacity
			if k, v := len(cache.K[layer]), len(cache.V[layer]); k < rows*s.QK || v < rows*s.VO {
				return fmt.Errorf("the cache has %d and %d values, expected %d and %d", k, v, rows*s.QK, rows*s.VO)
			}
			return cache.fits(s.B, s.T, cache.Capacity)
		},
	}
}

// addPositions is addRows for decoding: the new tokens of sequence b stand at
// pos[b], pos[b]+1, ... The positions are read when the operation runs.
func addPositions(t int, cache *Cache, number int) *Op {
	return &Op{
		Name:  fmt.Sprintf("AddPositions(T %d cache %d)", t, number),
		Shape: func(in []tensor.Shape) (tensor.Shape, error) { return positionShape(in, t) },
		Run: func(c *Call) {
			e := c.Cols
			for n := range c.Rows {
				at := int(cache.Pos[n/t]) + n%t
				x, p, y := c.In[0].F[n*e:][:e], c.In[1].F[at*e:][:e], c.Out[n*e:][:e]
				for i := range y {
					y[i] = x[i] + p[i]
				}
			}
		},
		Overwrites: []int{0},
		Check:      func(c *Call) error { return cache.fits(c.Rows/t, t, c.In[1].Rows) }, // within the table
	}
}
