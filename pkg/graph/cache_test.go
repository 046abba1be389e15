package graph

import (
	"math"
	"strings"
	"testing"
)

// decoder is one attention layer with logits, over a cache or over whole sequences.
func (m *toy) decoder(t int, cache *Cache) *Builder {
	b := NewBuilder(m.set, BuildOptions{})
	s := m.shape("0")
	s.QK, s.T = 2*s.QK, t
	x := b.Embed(b.IDs("ids", m.b*t), b.Param("tok"))
	if cache == nil {
		x = b.AddRows(x, b.Param("pos"), t)
	} else {
		x = b.AddPositions(x, b.Param("pos"), t, cache)
	}
	length := 9
	qkv := b.RoPE(b.Linear(x, b.Param("0.qkv"), nil), nil, Rotary{Freqs: m.freqs("0"), Length: length}, s, cache)
	ctx := qkv
	if cache == nil {
		ctx = b.Attention(qkv, nil, s)
	} else {
		ctx = b.CachedAttention(qkv, s, 0, cache)
	}
	x = b.LinearIn(ctx, b.Param("0.o"), nil, x)
	b.Output("logits", b.Linear(x, b.Param("tok"), nil))
	b.Output("last", b.Rows(x, t, t-1))
	return b
}

// TestDecodingEqualsWhole: tokens that come a few at a time, with a cache, get the
// logits that they get in whole sequences.
func TestDecodingEqualsWhole(t *testing.T) {
	m := newToy(t, "l")
	const length = 6
	ids := []int32{1, 5, 2, 2, 9, 0, 10, 3, 3, 7, 1, 4} // 2 sequences of 6
	whole := lowered(t, m.decoder(length, nil), LowerOptions{})
	ok(t, whole.SetInts("ids", ids), whole.RunAll())
	s := m.shape("0")
	cache := &Cache{Capacity: length, Pos: make([]int32, m.b),
		K: [][]float32{make([]float32, m.b*s.G*length*2*s.QK)}, V: [][]float32{make([]float32, m.b*s.G*length*s.VO)}}
	for at, n := range []int{3, 1, 2} {
		mc := lowered(t, m.decoder(n, cache), LowerOptions{poison: true})
		first := int(cache.Pos[0])
		var part []int32
		for b := range m.b {
			part = append(part, ids[b*length+first:][:n]...)
		}
		ok(t, mc.SetInts("ids", part), mc.RunAll())
		got, want := mc.Output("logits"), whole.Output("logits")
		for b := range m.b {
			for i := range n * m.v {
				g, w := got[b*n*m.v+i], want[(b*length+first)*m.v+i]
				if d := math.Abs(float64(g - w)); !(d <= 1e-5) {
					t.Fatalf("part %d, sequence %d: logit %g, in whole sequences %g", at, b, g, w)
				}
			}
		}
		for i := range cache.Pos {
			cache.Pos[i] += int32(n)
		}
	}
	mc := lowered(t, m.decoder(1, cache), LowerOptions{})
	ok(t, mc.SetInts("ids", []int32{1, 2}))
	if err := mc.RunAll(); err == nil || !strings.Contains(err.Error(), "6 tokens; 1 more do not fit the limit of 6") {
		t.Errorf("a full cache: %v", err)
	}
	cache.Pos[1] = 9 // the tables of positions end
	if err := mc.RunAll(); err == nil || !strings.Contains(err.Error(), "limit of 9") {
		t.Errorf("beyond the positions: %v", err)
	}
	cache.Pos[1], cache.Capacity = 0, 10
	if err := mc.RunAll(); err == nil || !strings.Contains(err.Error(), "the cache has 144 and 120 values") {
		t.Errorf("a cache too small for its capacity: %v", err)
	}
	cache.Capacity = length
	allocatesNothing(t, func() { cache.Pos[0], cache.Pos[1] = 0, 0; ok(t, mc.RunAll()) })
}
