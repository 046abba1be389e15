package graph

import (
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// TestAdapters: low-rank adapters beside a frozen matrix have the right gradients,
// and nothing is computed for what is frozen.
func TestAdapters(t *testing.T) {
	const n, e, m, r, v = 4, 5, 6, 2, 7
	set := small(t, map[string][]int{"x": {m, e}, "w": {v, m}, "bias": {v}})
	spec := func(name string, rows, cols int) param.Spec {
		return param.Spec{Name: name, Dims: []param.Dim{{Size: rows}, {Size: cols}}, Init: param.Init{Std: 0.5}}
	}
	sets := [2]*param.Set{}
	for i, specs := range [][]param.Spec{{spec("a", r, e), spec("b", r, m)}, {spec("a", r, e), spec("b", r, m), spec("unused", 3, 3)}} {
		s, err := param.New(specs)
		ok(t, err)
		s.Init(1)
		sets[i] = s
	}
	build := func(adapters *param.Set, train bool) *Builder {
		b := NewBuilder(set, BuildOptions{Train: train})
		b.Adapt(adapters)
		in := b.Floats("in", n, e)
		y := b.Linear(in, b.Param("x"), nil)                                                // (N, M)
		y = b.LinearIn(b.Scale(b.Linear(in, b.Param("a"), nil), 0.5), b.Param("b"), nil, y) // (N, M)
		if p := b.Param("unused"); p != nil {
			b.Output("unused", p)
		}
		b.HeadLoss(LossOperands{X: y, W: b.Param("w"), Bias: b.Param("bias"), Targets: b.IDs("targets", n), Scale: b.Scalar("scale")}, Head{})
		return b
	}
	feed := func(mc *Machine) {
		ok(t, mc.SetFloats("in", normals(n*e)...), mc.SetInts("targets", []int32{0, 6, 3, 3}), mc.SetFloats("scale", 1))
	}
	checkGradients(t, sets[0], map[string]float64{"nll": 1}, func(train bool) *Builder { return build(sets[0], train) }, feed)
	p, err := build(sets[0], true).Plan(PlanOptions{})
	ok(t, err)
	for _, s := range p.Steps {
		for _, g := range s.Grads {
			if g != "a" && g != "b" {
				t.Errorf("%s makes a gradient of %s, which is frozen", s.Name, g)
			}
		}
	}

	// A parameter that the loss does not depend on has no gradient.
	adapters := sets[1]
	grads := adapters.NewSlab()
	mc := lowered(t, build(adapters, true), LowerOptions{AdapterGrads: grads})
	feed(mc)
	ok(t, mc.RunAll())
	for i, g := range adapters.Block("unused").In(grads) {
		if g != 0 {
			t.Errorf("gradient %d of an unused block is %g", i, g)
		}
	}
	b := build(adapters, true)
	lowered(t, b, LowerOptions{AdapterGrads: grads})
	if _, err := b.Lower(LowerOptions{Pool: newPool(t), Grads: set.NewSlab()}); err == nil || !strings.Contains(err.Error(), "gradients of other parameters") {
		t.Errorf("gradients of other parameters: %v", err)
	}
	b = NewBuilder(set, BuildOptions{})
	b.Adapt(set)
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), `both sets of parameters have a block "x"`) {
		t.Errorf("sets with equal names: %v", err)
	}
}
