package model_test

import (
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
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
	whole := forward(t, b, nil, b.batch.IDs, formT, true)
	cache := &graph.Cache{Capacity: formT, Pos: make([]int32, formB)}
	for _, w := range b.m.Cache(b.set) {
		cache.K = append(cache.K, make([]float32, formB*formT*w[0]))
		cache.V = append(cache.V, make([]float32, formB*formT*w[1]))
	}
	at, v := 0, b.m.Vocab()
	for _, n := range []int{3, 1, 2} {
		var ids []int32
		for s := range formB {
			ids = append(ids, b.batch.IDs[s*formT+at:][:n]...)
		}
		got := forward(t, b, cache, ids, n, false)
		at += n
		for s := range formB {
			cache.Pos[s] = int32(at)
			near(t, "logits", got[s*v:][:v], whole[(s*formT+at-1)*v:][:v], 2e-5)
		}
	}
}

// forward is the logits of formB sequences of n tokens.
func forward(t *testing.T, b *bench, cache *graph.Cache, ids []int32, n int, all bool) []float32 {
	t.Helper()
	g := graph.NewBuilder(b.set, graph.BuildOptions{})
	b.m.Decode(g, cache, formB, n, all)
	mc, err := g.Lower(graph.LowerOptions{Pool: b.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer mc.Close()
	for _, err := range []error{mc.SetInts("ids", ids), mc.RunAll()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return append([]float32(nil), mc.Output("logits")...)
}
