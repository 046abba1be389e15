package graph

import (
	"math"
	"testing"
)

// TestFirstNonFinite spoils one parameter after the other: the trace names the
// block at which it takes effect first.
func TestFirstNonFinite(t *testing.T) {
	m := newToy(t, "lg")
	mc, _ := m.run(t, 1, LowerOptions{Taps: true})
	if bad, err := mc.FirstNonFinite(); bad != nil || err != nil {
		t.Fatalf("of a sound model: %v, %v", bad, err)
	}
	for _, p := range []struct{ param, op, block string }{
		{"tok", "Embed", "tok"}, {"0.n1", "RMSNorm", "0.n1"}, {"0.q", "Linear", "0.qkv"}, {"0.up", "Linear", "0.gu"},
		{"0.down", "LinearIn+residual", "0.down"}, {"norm", "RMSNorm", "norm"},
	} {
		w := m.set.Param(p.param).Data()
		was := w[len(w)/2]
		w[len(w)/2] = float32(math.Inf(1))
		ok(t, mc.RunAll())
		bad, err := mc.FirstNonFinite()
		w[len(w)/2] = was
		if err != nil || bad == nil || bad.Op != p.op || bad.Block != p.block {
			t.Errorf("%s is infinite: %v, %v; expected %s at %s", p.param, bad, err, p.op, p.block)
		}
	}
	if bad, err := mc.FirstNonFinite(); bad != nil || err != nil {
		t.Errorf("after all was put right: %v, %v", bad, err)
	}
	if err := mc.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := mc.FirstNonFinite(); err == nil {
		t.Error("a closed machine runs")
	}
}
