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
	return b.apply(cachedAttention{s, layer, cache}, qkv)
}

// AddPositions is AddRows for decoding, at the positions of the cache.
func (b *Builder) AddPositions(x, pos *Node, t int, cache *Cache) *Node {
	return b.apply(addPositions{t, cache}, x, pos)
}

// Cache is the keys and values of earlier tokens of B sequences, one layer
// after the other, and the positions at which the next tokens stand. It is the
// state of decoding; the graph reads and writes it when it runs.
type Cache struct {
	Capacity int         // tokens a sequence can reach
	Pos      []int32     // [B], tokens that each sequence has so far
	K        [][]float32 // by layer: [B, G, Capacity, QK], rotated
	V        [][]float32 // by layer: [B, G, Capacity, VO]
}

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
type cachedAttention struct {
	s     Shape
	layer int
	cache *Cache
}

func (o cachedAttention) name() string {
	return fmt.Sprintf("CachedAttention(%s layer %d)", attnName(o.s), o.layer)
}

func (o cachedAttention) shape(in []tensor.Shape) (tensor.Shape, error) {
	if !o.s.Causal {
		return nil, errors.New("decoding is causal")
	}
	return attention{o.s}.shape(in)
}

// check fails when the new tokens do not fit the cache.
func (o cachedAttention) check(*call) error {
	rows := o.s.B * o.s.G * o.cache.Capacity
	if k, v := len(o.cache.K[o.layer]), len(o.cache.V[o.layer]); k < rows*o.s.QK || v < rows*o.s.VO {
		return fmt.Errorf("the cache has %d and %d values, expected %d and %d", k, v, rows*o.s.QK, rows*o.s.VO)
	}
	return o.cache.fits(o.s.B, o.s.T, o.cache.Capacity)
}

func (o cachedAttention) run(c *call) {
	k, v := o.cache.K[o.layer], o.cache.V[o.layer]
	kernel.CacheAppend(c.pool, k, v, c.in[0].f, o.s, o.cache.Capacity, o.cache.Pos)
	kernel.AttentionDecode(c.pool, c.out, c.in[0].f, k, v, o.s, o.cache.Capacity, o.cache.Pos)
}

// addPositions is addRows for decoding: the new tokens of sequence b stand at
// pos[b], pos[b]+1, ... The positions are read when the operation runs.
type addPositions struct {
	t     int
	cache *Cache
}

func (o addPositions) name() string { return fmt.Sprintf("AddPositions(T %d)", o.t) }

func (o addPositions) shape(in []tensor.Shape) (tensor.Shape, error) { return addRows{o.t}.shape(in) }

// check fails when a position is outside the table.
func (o addPositions) check(c *call) error { return o.cache.fits(c.rows/o.t, o.t, c.in[1].rows) }

func (o addPositions) overwrites() []int { return []int{0} }

func (o addPositions) run(c *call) {
	e := c.cols
	for n := range c.rows {
		at := int(o.cache.Pos[n/o.t]) + n%o.t
		x, p, y := c.in[0].f[n*e:][:e], c.in[1].f[at*e:][:e], c.out[n*e:][:e]
		for i := range y {
			y[i] = x[i] + p[i]
		}
	}
}
