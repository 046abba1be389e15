package graph

import (
	"math"
	"testing"
)

// TestRunFresh: gradients are those of RunAll from cleared memory, whatever the
// blocks that Overwrites reports held before; RunAll adds all the same after it.
func TestRunFresh(t *testing.T) {
	for _, layers := range []string{"lg", "g"} {
		m := newToy(t, layers)
		_, want := m.run(t, 2, LowerOptions{})
		grads := m.set.NewSlab()
		mc := lowered(t, m.build(true), LowerOptions{Grads: grads})
		m.feed(t, mc)
		count := 0
		for _, b := range m.set.Blocks {
			if mc.Overwrites(b.Name) {
				count++
				for i := range b.In(grads) {
					b.In(grads)[i] = float32(math.NaN())
				}
			}
		}
		if count == 0 {
			t.Fatal("no gradient is overwritten")
		}
		ok(t, mc.RunFresh())
		one := append([]float32(nil), grads.Data...)
		for i, g := range one {
			if g != g {
				t.Fatalf("%s: gradient %d was not overwritten", layers, i)
			}
		}
		ok(t, mc.RunAll())
		for i, g := range grads.Data {
			if g != want.Data[i] {
				t.Fatalf("%s: gradient %d is %g after two runs, expected %g", layers, i, g, want.Data[i])
			}
		}
	}
}
