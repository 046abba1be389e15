package graph

import (
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

func TestRunAllocatesNothing(t *testing.T) {
	m := newToy(t, "lg")
	for _, r := range []Recompute{KeepAll, RecomputeLayer} {
		mc, _ := m.run(t, 1, LowerOptions{Taps: true, Recompute: r})
		ids := make([]int32, m.b*m.t)
		allocatesNothing(t, func() { ok(t, mc.SetInts("ids", ids), mc.RunAll()) })
	}
}

// allocatesNothing fails when f makes heap allocations, now that it has run.
func allocatesNothing(t *testing.T, f func()) {
	t.Helper()
	// A collection empties sync.Pool, in which kernels keep their arguments.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if n := testing.AllocsPerRun(50, f); n != 0 && !raceDetector {
		t.Errorf("a run makes %g heap allocations, expected none", n)
	}
}

// TestGradientsAccumulate: two runs leave twice the gradient, and half the scale half of it.
func TestGradientsAccumulate(t *testing.T) {
	m := newToy(t, "lg")
	_, once := m.run(t, 1, LowerOptions{})
	mc, twice := m.run(t, 2, LowerOptions{})
	for i, g := range once.Data {
		// Products that add to the slab sum in another order than from zero.
		if d := math.Abs(float64(twice.Data[i] - 2*g)); !(d <= 1e-6) {
			t.Fatalf("gradient %d is %g after one run and %g after two", i, g, twice.Data[i])
		}
	}
	clear(twice.Data)
	ok(t, mc.SetFloats("scale", 0.5/9), mc.RunAll())
	for i, g := range once.Data {
		if d := math.Abs(float64(twice.Data[i] - g/2)); !(d <= 1e-6) {
			t.Fatalf("gradient %d is %g, at half the scale %g", i, g, twice.Data[i])
		}
	}
}

// TestArenaIsReused: a machine that replaces a larger one takes its memory over.
func TestArenaIsReused(t *testing.T) {
	m := newToy(t, "lg")
	a, _ := m.run(t, 1, LowerOptions{Taps: true})
	slab := a.arena
	b := lowered(t, m.build(false), LowerOptions{Reuse: a})
	if b.arena != slab || int64(4*len(slab.Data)) != b.Plan().ArenaBytes() {
		t.Errorf("the arena was not taken over: %d bytes, planned %d", 4*len(b.arena.Data), b.Plan().ArenaBytes())
	}
	if err := a.RunAll(); !errors.Is(err, ErrClosed) {
		t.Errorf("the machine that was replaced runs: %v", err)
	}
	m.feed(t, b)
	ok(t, b.RunAll())
	c, _ := m.run(t, 1, LowerOptions{Taps: true, Reuse: b}) // larger: new memory
	if c.arena == slab || c.Output("loss")[0] == 0 {
		t.Error("a larger machine has the smaller one's arena")
	}
}

// TestBuildErrors: mistakes name the operation and the shapes, the first sticks,
// and nothing panics.
func TestBuildErrors(t *testing.T) {
	m := newToy(t, "l")
	tok := func(b *Builder) *Node { return b.Param("tok") }
	x := func(b *Builder) *Node { return b.Embed(b.IDs("ids", 10), tok(b)) }
	s := m.shape("0")
	for want, f := range map[string]func(b *Builder){
		"Linear of [(10, 8) (8, 30)]: x is 8 wide, the weight takes 30":  func(b *Builder) { b.Linear(x(b), b.Floats("w", 8, 30), nil) },
		"Linear: operand 1 is missing":                                   func(b *Builder) { b.Linear(x(b), b.Param("nothing"), nil) },
		"bias has 8 values, expected 11":                                 func(b *Builder) { b.Linear(x(b), tok(b), b.Param("norm")) },
		"residual is (11, 8), expected (10, 8)":                          func(b *Builder) { b.LinearIn(b.Floats("h", 10, 11), tok(b), nil, tok(b)) },
		"Add of [(10, 8) (11, 8)]: operands differ":                      func(b *Builder) { b.Add(x(b), tok(b)) },
		"gain has 88 values, expected 8":                                 func(b *Builder) { b.RMSNorm(x(b), tok(b), RMSNorm{Eps: 1e-6}) },
		"gain and bias have 88 values, expected 16, or 8 without a bias": func(b *Builder) { b.LayerNorm(x(b), tok(b), 1e-6) },
		"expected an even number":                                        func(b *Builder) { b.SwiGLU(b.Floats("gu", 2, 3)) },
		"Embed: operand 0 is float32, expected integers":                 func(b *Builder) { b.Embed(b.Floats("f", 1, 3), tok(b)) },
		"q, k, v are 10 x 8, expected 10 x":                              func(b *Builder) { b.Attention(x(b), nil, s) },
		"sizes are not all positive":                                     func(b *Builder) { b.Attention(x(b), nil, Shape{}) },
		"frequencies for 2 K/V heads":                                    func(b *Builder) { b.RoPE(x(b), nil, Rotary{Freqs: [][]float32{{1}, {1}, {1}}, Length: 5}, s, nil) },
		"0 lists of frequencies":                                         func(b *Builder) { b.RoPE(x(b), nil, Rotary{Length: 5}, s, nil) },
		"9 positions of 8 for 10 rows of 8 in sequences of 3":            func(b *Builder) { b.AddRows(x(b), b.Param("pos"), 3) },
		"10 rows have no row 5 of sequences of 5":                        func(b *Builder) { b.Rows(x(b), 5, 5) },
		"expected sequences of 3 rows":                                   func(b *Builder) { b.Prepend(x(b), b.Param("norm"), 3) },
		"4 targets for 10 rows": func(b *Builder) {
			b.HeadLoss(LossOperands{X: x(b), W: tok(b), Targets: b.IDs("t", 4), Scale: b.Scalar("s")}, Head{})
		},
		`tap ffn: 9 units of 1 columns from column 0 do not fit`: func(b *Builder) { b.Tap("ffn", x(b), 2, 0, 9, 1) },
		`output "y" is missing`:                                  func(b *Builder) { b.Output("y", nil) },
		`two outputs are named "y"`:                              func(b *Builder) { b.Output("y", x(b)); b.Output("y", x(b)) },
		`input "ids" has shape (10), found (11)`:                 func(b *Builder) { x(b); b.IDs("ids", 11) },
		`input "w" has shape (0, 5), expected positive`:          func(b *Builder) { b.Floats("w", 0, 5) },
		`input "tok" has the name of a block`:                    func(b *Builder) { b.IDs("tok", 5) },
		"the cache has no layer 3":                               func(b *Builder) { b.CachedAttention(x(b), s, 3, &Cache{}) },
	} {
		b := NewBuilder(m.set, BuildOptions{Train: true})
		f(b)
		b.Add(tok(b), b.Embed(nil, nil)) // does nothing, and changes no error
		_, err := b.Lower(LowerOptions{Pool: newPool(t)})
		if err == nil || err != b.Err() || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, expected %q", err, want)
		}
	}
}

func TestLowerErrors(t *testing.T) {
	m := newToy(t, "l")
	for want, o := range map[string]LowerOptions{
		"gates need gradients":                            {Taps: true},
		"the gradient slab has 3 values, the weights":     {Grads: param.NewSlab(3)},
		"the bfloat16 weights have 1 values, the weights": {BF16: make([]uint16, 1)},
	} {
		o.Pool = newPool(t)
		if _, err := m.build(true).Lower(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, expected %q", err, want)
		}
	}
	if _, err := m.build(false).Lower(LowerOptions{Pool: newPool(t), Grads: m.set.NewSlab()}); !errors.Is(err, errNoLoss) {
		t.Errorf("gradients of an evaluation graph: %v", err)
	}
	if _, err := m.build(true).Lower(LowerOptions{}); err == nil {
		t.Error("no pool: accepted")
	}
	b := NewBuilder(m.set, BuildOptions{Train: true})
	w := b.Add(b.Param("tok"), b.Param("tok"))
	b.HeadLoss(LossOperands{X: b.Embed(b.IDs("ids", 3), b.Param("tok")), W: w, Targets: b.IDs("targets", 3), Scale: b.Scalar("scale")}, Head{})
	if _, err := b.Lower(LowerOptions{Pool: newPool(t), Grads: m.set.NewSlab()}); err == nil || !strings.Contains(err.Error(), "must be parameters of their own") {
		t.Errorf("a computed head weight: %v", err)
	}
}

func TestInputErrors(t *testing.T) {
	m := newToy(t, "l")
	mc, _ := m.run(t, 1, LowerOptions{})
	for want, err := range map[string]error{
		`"ids": value 9 is 11, expected below 11 and at least 0`: mc.SetInts("ids", []int32{0, 0, 0, 0, 0, 0, 0, 0, 0, 11}),
		`"ids": value 1 is -1`:                             mc.SetInts("ids", []int32{0, -1, 0, 0, 0, 0, 0, 0, 0, 0}),
		`"targets": value 0 is 11, expected below 11`:      mc.SetInts("targets", []int32{11, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		`integer input "ids": found 2 values, expected 10`: mc.SetInts("ids", []int32{1, 2}),
		`integer input "none": found 1 values, expected 0`: mc.SetInts("none", []int32{1}),
		`input "scale": found 2 values, expected 1`:        mc.SetFloats("scale", 1, 2),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, expected %q", err, want)
		}
	}
	if err := mc.SetInts("targets", []int32{-5, -1, 0, 0, 0, 0, 0, 0, 0, 10}); err != nil {
		t.Errorf("targets to ignore: %v", err)
	}
}

// TestBF16Weights: products that round to bfloat16 give the same results, summed
// in another order, when the weights were rounded before.
func TestBF16Weights(t *testing.T) {
	m := newToy(t, "lg")
	bits := make([]uint16, m.set.Len())
	kernel.ToBF16(bits, m.set.Weights.Data)
	m.bf16 = true
	a, ga := m.run(t, 1, LowerOptions{})
	b, gb := m.run(t, 1, LowerOptions{BF16: bits})
	for i, g := range ga.Data {
		if d := math.Abs(float64(gb.Data[i] - g)); !(d <= 1e-6) {
			t.Fatalf("gradient %d is %g, with rounded weights %g", i, g, gb.Data[i])
		}
	}
	if d := math.Abs(float64(a.Output("loss")[0] - b.Output("loss")[0])); !(d <= 1e-6) {
		t.Errorf("losses differ by %g", d)
	}
	clear(bits)
	if c, _ := m.run(t, 1, LowerOptions{BF16: bits}); c.Output("loss")[0] == a.Output("loss")[0] {
		t.Error("the rounded weights are not read")
	}
}
