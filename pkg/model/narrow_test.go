package model_test

import (
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/model"
)

// TestBF16Activations: in training with bfloat16 every form's losses are float32's but for the
// rounding, recomputing layers changes no bit, and a model of some size needs less memory.
func TestBF16Activations(t *testing.T) {
	eachForm(t, func(t *testing.T, m model.Model) {
		b := newBench(t, m)
		wide := b.run(t)
		arena := b.mc.Plan().ArenaBytes()
		lower := func(level graph.Recompute) []float64 {
			g := graph.NewBuilder(b.set, graph.BuildOptions{Train: true, BF16: true})
			b.m.Loss(g, formB, tokens(b.m), 0)
			mc, err := g.Lower(graph.LowerOptions{Pool: b.pool, Grads: b.grads, Taps: true, Recompute: level})
			if err != nil {
				t.Fatal(err)
			}
			b.mc = mc
			return b.run(t)
		}
		kept := lower(graph.KeepAll)
		if n := b.mc.Plan().ArenaBytes(); n >= arena && m.Arch().Layers > 1 {
			t.Errorf("the arena of bfloat16 has %d bytes, float32's %d", n, arena)
		}
		grads := append([]float32(nil), b.grads.Data...)
		sum, diff := 0.0, 0.0
		for i, nll := range kept {
			sum, diff = sum+wide[i], diff+math.Abs(nll-wide[i])
		}
		if !(diff <= 0.05*sum) || diff == 0 {
			t.Errorf("losses differ by %g of %g", diff, sum)
		}
		for i, nll := range lower(graph.RecomputeLayer) {
			if nll != kept[i] {
				t.Fatalf("recomputed, loss %d is %g, expected %g", i, nll, kept[i])
			}
		}
		for i, g := range b.grads.Data {
			if g != grads[i] {
				t.Fatalf("recomputed, gradient %d is %g, expected %g", i, g, grads[i])
			}
		}
	})
}
