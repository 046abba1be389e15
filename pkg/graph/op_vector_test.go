package graph

import "testing"

// TestVectorLossGradient: through the graph, with padding and a text that is not counted.
func TestVectorLossGradient(t *testing.T) {
	const texts, tokens, width = 3, 2, 5
	set := small(t, map[string][]int{"x": {texts * tokens, width}})
	for _, first := range []bool{false, true} {
		build := func(train bool) *Builder {
			b := NewBuilder(set, BuildOptions{Train: train})
			b.VectorLoss(b.Param("x"), b.IDs("starts", texts*tokens), b.Floats("vectors", texts, width), b.IDs("targets", texts), b.Scalar("scale"), VectorShape{B: texts, T: tokens, E: width, First: first})
			return b
		}
		feed := func(m *Machine) {
			ok(t, m.SetInts("starts", []int32{0, 0, 0, tokens, 0, 0}), m.SetInts("targets", []int32{0, 0, -1}), m.SetFloats("scale", 0.5), m.SetFloats("vectors", normals(texts*width)...))
		}
		m := lowered(t, build(false), LowerOptions{})
		feed(m)
		ok(t, m.RunAll())
		nll := m.Output("nll")
		if got, want := m.Output("loss")[0], 0.5*(nll[0]+nll[1]); got != want {
			t.Errorf("loss is %g, expected %g of the texts that count", got, want)
		}
		b := NewBuilder(set, BuildOptions{})
		b.VectorLoss(b.Param("x"), nil, b.Floats("vectors", texts, width), b.IDs("targets", texts), b.Scalar("scale"), VectorShape{B: texts, T: 5, E: width})
		if b.Err() == nil {
			t.Error("texts of a wrong length were taken")
		}
		checkGradients(t, set, map[string]float64{"loss": 1}, build, feed)
	}
}
