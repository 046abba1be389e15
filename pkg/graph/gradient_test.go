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

// opCase is an operation between parameters and a loss. Its blocks are named a,
// b, c in the order of sizes; make returns rows of the given width.
type opCase struct {
	name  string
	sizes [][]int
	rows  int
	width int
	make  func(b *Builder, p []*Node) *Node
}

func TestOperationGradients(t *testing.T) {
	qkv := func(s Shape) []int { return []int{s.B * s.T, s.Width()} }
	plain := Shape{B: 2, T: 3, G: 2, R: 2, QK: 4, VO: 3, Scale: 0.7}
	causal := plain
	causal.Causal = true
	one := [][]float32{{1, 0.3}}
	each := [][]float32{{1, 0.3}, {0.5, 0.1}}
	ids := func(b *Builder) *Node { return b.IDs("ids", 6) }
	for _, c := range []opCase{
		{"linear", [][]int{{6, 5}, {4, 5}}, 6, 4, func(b *Builder, p []*Node) *Node { return b.Linear(p[0], p[1], nil) }},
		{"linear bias", [][]int{{6, 5}, {4, 5}, {4}}, 6, 4, func(b *Builder, p []*Node) *Node { return b.Linear(p[0], p[1], p[2]) }},
		{"linear in", [][]int{{6, 4}, {4, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.LinearIn(p[0], p[1], nil, nil) }},
		{"linear in bias residual", [][]int{{6, 4}, {4, 5}, {5}, {6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.LinearIn(p[0], p[1], p[2], p[3]) }},
		{"layernorm", [][]int{{6, 5}, {10}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.LayerNorm(p[0], p[1], 1e-5) }},
		{"rmsnorm", [][]int{{6, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.RMSNorm(p[0], p[1], 1e-6) }},
		{"gelu", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.GELU(p[0], false) }},
		{"gelu tanh", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.GELU(p[0], true) }},
		{"swiglu", [][]int{{6, 10}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.SwiGLU(p[0]) }},
		{"scale", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Scale(p[0], -1.5) }},
		{"add", [][]int{{6, 5}, {6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Add(p[0], p[1]) }},
		{"add to itself", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Add(p[0], p[0]) }},
		{"used three times", [][]int{{6, 5}, {5, 5}}, 6, 5, func(b *Builder, p []*Node) *Node {
			return b.Add(b.Linear(b.Linear(p[0], p[1], nil), p[1], nil), b.Linear(p[0], p[1], nil))
		}},
		{"residual is its own input", [][]int{{6, 5}, {5, 5}, {6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node {
			h := b.Add(p[0], p[2]) // must not be overwritten while it is multiplied
			return b.LinearIn(h, p[1], nil, h)
		}},
		{"gain is computed", [][]int{{6, 5}, {5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node {
			return b.RMSNorm(p[0], b.Add(p[1], p[2]), 1e-6) // a gradient that goes two ways
		}},
		{"embed", [][]int{{7, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Embed(ids(b), p[0]) }},
		{"positions", [][]int{{6, 5}, {4, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.AddRows(p[0], p[1], 3) }},
		{"rows", [][]int{{12, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Rows(p[0], 2, 1) }},
		{"prepend", [][]int{{4, 5}, {5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Prepend(p[0], p[1], 2) }},
		{"prepend two", [][]int{{2, 5}, {2, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return b.Prepend(p[0], p[1], 1) }},
		{"rope", [][]int{qkv(plain)}, 6, plain.Width(), func(b *Builder, p []*Node) *Node { return b.RoPE(p[0], one, plain, 3, nil) }},
		{"rope by head", [][]int{qkv(plain)}, 6, plain.Width(), func(b *Builder, p []*Node) *Node { return b.RoPE(p[0], each, plain, 3, nil) }},
		{"attention", [][]int{qkv(plain)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], plain) }},
		{"causal attention", [][]int{qkv(causal)}, 6, 12, func(b *Builder, p []*Node) *Node { return b.Attention(p[0], causal) }},
		{"nothing but the head", [][]int{{6, 5}}, 6, 5, func(b *Builder, p []*Node) *Node { return p[0] }},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

// check puts a head with bias and smoothed targets on the operation, so that its
// output's gradient has no structure, and checks all parameters.
func (c opCase) check(t *testing.T) {
	const v = 7
	var specs []param.Spec
	block := func(name string, dims ...int) {
		s := param.Spec{Name: name, Init: param.Init{Mean: 0.2, Std: 0.8}}
		for _, d := range dims {
			s.Dims = append(s.Dims, param.Dim{Size: d})
		}
		specs = append(specs, s)
	}
	names := "abcd"
	for i, s := range c.sizes {
		block(names[i:i+1], s...)
	}
	block("w", v, c.width)
	block("bias", v)
	set, err := param.New(specs)
	ok(t, err)
	set.Init(3)
	build := func(train bool) *Builder {
		b := NewBuilder(set, BuildOptions{Train: train})
		var p []*Node
		for i := range c.sizes {
			p = append(p, b.Param(names[i:i+1]))
		}
		b.HeadLoss(c.make(b, p), b.Param("w"), b.Param("bias"), b.IDs("targets", c.rows), b.Scalar("scale"), 0.1)
		return b
	}
	checkGradients(t, set, map[string]float64{"nll": 0.5}, build, func(m *Machine) {
		targets := make([]int32, c.rows)
		for i := range targets {
			targets[i] = int32((i*3 + 1) % v)
		}
		ok(t, m.SetInts("targets", targets), m.SetFloats("scale", 0.5))
		if m.size("ids") > 0 {
			ok(t, m.SetInts("ids", []int32{6, 0, 3, 3, 0, 3}))
		}
	})
}

// TestMatchGradient: the loss that pulls a value towards another model's, beside a
// head's, against central differences.
func TestMatchGradient(t *testing.T) {
	set, err := param.New([]param.Spec{
		{Name: "a", Dims: []param.Dim{{Size: 6}, {Size: 5}}, Init: param.Init{Std: 0.8}},
		{Name: "w", Dims: []param.Dim{{Size: 7}, {Size: 5}}, Init: param.Init{Std: 0.8}},
	})
	ok(t, err)
	set.Init(3)
	rng := rand.New(rand.NewPCG(8, 8))
	target := make([]float32, 6*5)
	for i := range target {
		target[i] = float32(rng.NormFloat64())
	}
	build := func(train bool) *Builder {
		b := NewBuilder(set, BuildOptions{Train: train})
		x := b.GELU(b.Param("a"), false)
		b.Site("x", x)
		b.HeadLoss(x, b.Param("w"), nil, b.IDs("targets", 6), b.Scalar("scale"), 0)
		b.MatchLoss(b.AtSite("x"), b.Floats("target", 6, 5), b.Scalar("pull"))
		return b
	}
	feed := func(mc *Machine) {
		ok(t, mc.SetInts("targets", []int32{1, 2, 3, 4, 5, 6}), mc.SetFloats("scale", 0.5), mc.SetFloats("target", target...), mc.SetFloats("pull", 3))
	}
	checkGradients(t, set, map[string]float64{"loss": 1}, build, feed)
}
