package model_test

import (
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/model"
)

// TestDecodingEqualsTheWholePass: tokens fed to a cache in pieces, by a pruned model
// too, give the logits of one pass over all of them.
func TestDecodingEqualsTheWholePass(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		if _, ok := m.(model.Decoder); !ok {
			return // images, encoders
		}
		b := newBench(t, m)
		decodes(t, b)
		if err := b.set.Shrink(cuts(b.set)["all"]); err != nil {
			t.Fatal(err)
		}
		decodes(t, b)
	})
}

func decodes(t *testing.T, b *bench) {
	t.Helper()
	whole := forward(t, b, b.batch.IDs, func(g *graph.Builder) { b.m.Decode(g, formB, formT, true) })
	cache := &graph.Cache{Capacity: formT, PageTokens: formT}
	for _, w := range b.m.Cache(b.set) {
		cache.K = append(cache.K, make([]float32, formB*formT*w[0]))
		cache.V = append(cache.V, make([]float32, formB*formT*w[1]))
	}
	at, v := 0, b.m.Vocab()
	for _, n := range []int{3, 1, 2} {
		var ids []int32
		cache.Pos, cache.Spans = nil, nil
		for s := range formB {
			ids = append(ids, b.batch.IDs[s*formT+at:][:n]...)
			for i := range n {
				cache.Pos = append(cache.Pos, int32(at+i))
			}
			cache.Spans = append(cache.Spans, kernel.Span{Row: s * n, N: n, Pos: at, Pages: []int32{int32(formB - 1 - s)}})
		}
		d := b.m.(model.Decoder)
		got := forward(t, b, ids, func(g *graph.Builder) { g.Output("logits", d.Logits(g, d.Hidden(g, cache, formB*n, 1))) })
		for s := range formB {
			near(t, "logits", got[s*n*v:][:n*v], whole[(s*formT+at)*v:][:n*v], 2e-5)
		}
		last := make([]int32, formB)
		for s := range last {
			last[s] = int32(s*n + n - 1)
		}
		got = forward(t, b, ids, func(g *graph.Builder) {
			g.Output("logits", d.Logits(g, d.HiddenRows(g, cache, formB*n, g.IDs("rows", formB))))
		}, last...)
		for s := range formB {
			near(t, "logits of last rows", got[s*v:][:v], whole[(s*formT+at+n-1)*v:][:v], 2e-5)
		}
		at += n
	}
}

// forward is the logits of a graph that takes ids, and the numbers of rows where there are any.
func forward(t *testing.T, b *bench, ids []int32, build func(g *graph.Builder), rows ...int32) []float32 {
	t.Helper()
	g := graph.NewBuilder(b.set, graph.BuildOptions{})
	build(g)
	mc, err := g.Lower(graph.LowerOptions{Pool: b.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	err = mc.SetInts("ids", ids)
	if err == nil && rows != nil {
		err = mc.SetInts("rows", rows)
	}
	if err == nil {
		err = mc.RunAll()
	}
	if err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), mc.Output("logits")...)
}
