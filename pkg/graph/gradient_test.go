package graph

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// checkGradients compares every block's gradient along a random direction with
// central differences of the loss. build makes the graph for training or
// evaluation, feed gives a machine its inputs; the loss is the sum of the rows of
// each output times its share: summed in float64, it is sharper than the float32 loss.
func checkGradients(t *testing.T, set *param.Set, shares map[string]float64, build func(train bool) *Builder, feed func(*Machine)) {
	t.Helper()
	pool := newPool(t)
	grads := set.NewSlab()
	o := LowerOptions{Pool: pool, Grads: grads}
	b := build(true)
	if set == b.more {
		o.Grads, o.AdapterGrads = nil, grads
	}
	mc := lowered(t, b, o)
	feed(mc)
	eval := lowered(t, build(false), LowerOptions{Pool: pool})
	feed(eval)
	ok(t, mc.RunAll())
	loss := func() float64 {
		ok(t, eval.RunAll())
		sum := 0.0
		for name, share := range shares {
			for _, l := range eval.Output(name) {
				sum += share * float64(l)
			}
		}
		return sum
	}
	if d := math.Abs(loss() - float64(mc.Output("loss")[0])); !(d <= 1e-6*(1+loss())) {
		t.Fatalf("losses of training and evaluation differ by %g", d)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, bl := range set.Blocks {
		w, g := bl.In(set.Weights), bl.In(grads)
		keep := append([]float32(nil), w...)
		dir := make([]float64, len(w))
		norm, slope, size := 0.0, 0.0, 0.0
		for i := range dir {
			dir[i] = rng.NormFloat64()
			norm += dir[i] * dir[i]
		}
		for i := range dir {
			dir[i] /= math.Sqrt(norm)
			slope += dir[i] * float64(g[i])
			size += float64(g[i]) * float64(g[i])
		}
		at := func(by float64) float64 {
			for i := range w {
				w[i] = keep[i] + float32(by*dir[i])
			}
			return loss()
		}
		// Fourth-order differences allow a step large enough for float32: the
		// loss has an error of about 1e-7, over h.
		const h = 2e-2
		got := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
		copy(w, keep)
		if size == 0 {
			t.Errorf("%s: the gradient is 0", bl.Name)
		}
		if !(math.Abs(got-slope) <= 3e-5+2e-3*math.Sqrt(size)) {
			t.Errorf("%s: finite differences give %g, the graph %g", bl.Name, got, slope)
		}
	}
}

func TestModelGradients(t *testing.T) {
	m := newToy(t, "lglg")
	checkGradients(t, m.set, map[string]float64{"nll": 1.0 / 9}, m.build, func(mc *Machine) { m.feed(t, mc) })
}

// TestOneToken: sequences of one token have matrices of one row.
func TestOneToken(t *testing.T) {
	m := (&toy{style: "lg", b: 1, t: 1, v: 5, g: 1, r: 1, qk: 2, vo: 3, f: 4, e: 6}).init(t)
	feed := func(mc *Machine) {
		ok(t, mc.SetInts("ids", []int32{2}), mc.SetInts("targets", []int32{3}), mc.SetFloats("scale", 1))
	}
	grads := m.set.NewSlab()
	mc := lowered(t, m.build(true), LowerOptions{Grads: grads, Taps: true})
	feed(mc)
	ok(t, mc.RunAll())
	if g := kernel.SumSquares(newPool(t), grads.Data); !(g > 0) {
		t.Errorf("gradients of one token have squares %g", g)
	}
}
