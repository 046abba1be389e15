package graph

import (
	"math"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// decoder is one attention layer with logits: rows of a cache, or whole sequences of t.
func (m *toy) decoder(rows, t int, cache *Cache) *Builder {
	b := NewBuilder(m.set, BuildOptions{})
	s := m.shape("0")
	s.QK, s.B, s.T = 2*s.QK, rows, t
	x := b.Embed(b.IDs("ids", rows*t), b.Param("tok"))
	if cache == nil {
		x = b.AddRows(x, b.Param("pos"), t)
	} else {
		x = b.AddPositions(x, b.Param("pos"), cache)
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
	const length, page, pages = 6, 4, 5
	ids := []int32{1, 5, 2, 2, 9, 0, 10, 3, 3, 7, 1, 4} // 2 sequences of 6
	whole := lowered(t, m.decoder(m.b, length, nil), LowerOptions{})
	ok(t, whole.SetInts("ids", ids), whole.RunAll())
	s := m.shape("0")
	cache := &Cache{Capacity: length, PageTokens: page,
		K: [][]float32{make([]float32, pages*s.G*page*2*s.QK)}, V: [][]float32{make([]float32, pages*s.G*page*s.VO)}}
	done := 0
	for at, n := range []int{3, 1, 2} {
		var part []int32
		cache.Pos, cache.Spans = nil, nil
		for b := range m.b {
			part = append(part, ids[b*length+done:][:n]...)
			for i := range n {
				cache.Pos = append(cache.Pos, int32(done+i))
			}
			cache.Spans = append(cache.Spans, kernel.Span{Row: b * n, N: n, Pos: done, Pages: [][]int32{{4, 1}, {0, 2}}[b]})
		}
		mc := lowered(t, m.decoder(m.b*n, 1, cache), LowerOptions{poison: true})
		ok(t, mc.SetInts("ids", part), mc.RunAll())
		got, want := mc.Output("logits"), whole.Output("logits")
		for b := range m.b {
			for i := range n * m.v {
				g, w := got[b*n*m.v+i], want[(b*length+done)*m.v+i]
				if d := math.Abs(float64(g - w)); !(d <= 1e-5) {
					t.Fatalf("part %d, sequence %d: logit %g, in whole sequences %g", at, b, g, w)
				}
			}
		}
		done += n
	}
	mc := lowered(t, m.decoder(1, 1, cache), LowerOptions{})
	ok(t, mc.SetInts("ids", []int32{1}))
	span := kernel.Span{N: 1, Pages: []int32{4, 1}}
	for want, change := range map[string]func(sp *kernel.Span){
		"1 rows from row 0 at position 6 does not fit": func(sp *kernel.Span) { sp.Pos = 6 },
		"1 rows from row 1 at position 0 does not fit": func(sp *kernel.Span) { sp.Row = 1 },
		"at position 4 does not fit 1 rows, 1 pages":   func(sp *kernel.Span) { sp.Pos, sp.Pages = 4, sp.Pages[:1] },
		"the cache has no page 5":                      func(sp *kernel.Span) { sp.Pages = []int32{5} },
		"row 0 stands at position 9, expected 0 to 8":  func(sp *kernel.Span) { cache.Pos = []int32{9} },
		"the cache has 0 positions, expected 1":        func(sp *kernel.Span) { cache.Pos = nil },
	} {
		sp := span
		cache.Pos = []int32{0}
		change(&sp)
		cache.Spans = []kernel.Span{sp}
		if err := mc.RunAll(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	cache.Pos, cache.Spans = []int32{0}, []kernel.Span{span}
	allocatesNothing(t, func() { ok(t, mc.RunAll()) })
	_, err := m.decoder(1, 2, cache).Lower(LowerOptions{Pool: newPool(t)})
	if err == nil || !strings.Contains(err.Error(), "found sequences of 2") {
		t.Errorf("sequences of 2 tokens in a cache: %v", err)
	}
}
