package graph

import (
	"math"
	"testing"
)

// TestPreferenceGradients: the gradients of the loss over pairs are those of finite differences.
func TestPreferenceGradients(t *testing.T) {
	const T, e, v = 3, 4, 6
	set := small(t, map[string][]int{"x": {4 * T, e}, "w": {v, e}, "bias": {v}})
	for _, p := range []Preference{{T: T, Beta: 0.7}, {T: T, Beta: 1.5, Margin: 0.3, Mean: true}} {
		grads := set.NewSlab()
		build := func(train bool) *Machine {
			b := NewBuilder(set, BuildOptions{Train: train, Preference: &p})
			b.HeadLoss(LossOperands{X: b.Param("x"), W: b.Param("w"), Bias: b.Param("bias"), Targets: b.IDs("targets", 4*T), Scale: b.Scalar("scale")}, Head{Smoothing: 0.1, Logits: Logits{Scale: 0.8, SoftCap: 2}})
			o := LowerOptions{}
			if train {
				o.Grads = grads
			}
			m := lowered(t, b, o)
			ok(t, m.SetInts("targets", []int32{1, 5, -1, 0, 2, 3, 4, -1, -1, 2, 2, -1}), m.SetFloats("scale", 0.5))
			ok(t, m.SetInts(PairsInput, []int32{0, 0, -1, 0, 0, 0, 0, -1, -1, 0, 0, -1}), m.SetFloats(ReferenceInput, normals(4*T)...))
			return m
		}
		trained, plain := build(true), build(false)
		ok(t, trained.RunAll())
		loss := func() float64 {
			ok(t, plain.RunAll())
			return float64(plain.Output("loss")[0])
		}
		if a, b := float64(trained.Output("loss")[0]), loss(); a != b || a == 0 {
			t.Errorf("the loss is %g in training, %g without gradients", a, b)
		}
		const h = 1e-2
		for i := range set.Weights.Data {
			w := set.Weights.Data[i]
			set.Weights.Data[i] = w + h
			up := loss()
			set.Weights.Data[i] = w - h
			down := loss()
			set.Weights.Data[i] = w
			if want, got := (up-down)/(2*h), float64(grads.Data[i]); math.Abs(want-got) > 2e-4 {
				t.Errorf("%+v: gradient %d is %g, finite differences %g", p, i, got, want)
			}
		}
	}
}
