package optim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// bench is a small set as models have them (a table, a norm, heads, a feed-forward
// pair) with gradients, and what its weights were.
type bench struct {
	set   *param.Set
	grads *param.Slab
	pool  *kernel.Pool
	rng   *rand.Rand
}

func newBench(t *testing.T) *bench {
	t.Helper()
	kv := param.Dim{Name: "layer.0.kv", Size: 2}
	qk := param.Dim{Name: "layer.0.qk", Size: 3, Per: kv.Name}
	ffn, e := param.Dim{Name: "layer.0.ffn", Size: 10}, param.Dim{Name: "embed", Size: 7}
	two := param.Dim{Size: 2}
	init := param.Init{Std: 0.5}
	set, err := param.New([]param.Spec{
		{Name: "table", Dims: []param.Dim{{Name: "vocab", Size: 11}, e}, Init: init},
		{Name: "norm", Dims: []param.Dim{e}, Init: init},
		{Name: "q", Dims: []param.Dim{kv, two, qk, e}, Block: "qk", Decay: true, Init: init},
		{Name: "k", Dims: []param.Dim{kv, qk, e}, Block: "qk", Decay: true, Init: init},
		{Name: "up", Role: param.Up, Dims: []param.Dim{ffn, e}, Decay: true, Init: init},
		{Name: "down", Dims: []param.Dim{ffn, e}, Decay: true, Init: init},
	})
	if err != nil {
		t.Fatal(err)
	}
	set.Init(1)
	b := &bench{set, set.NewSlab(), kernel.NewPool(2), rand.New(rand.NewPCG(2, 3))}
	t.Cleanup(func() { set.Weights.Close(); b.grads.Close(); b.pool.Close() })
	return b
}

// draw gives every parameter a new gradient and returns the update's arguments.
func (b *bench) draw(lr float64) Step {
	for _, p := range b.set.Params {
		for i := range p.In(b.grads) {
			p.In(b.grads)[i] = float32(b.rng.NormFloat64())
		}
	}
	return Step{Pool: b.pool, Set: b.set, Grads: b.grads, LR: lr, Norm: GradNorm(b.pool, b.grads)}
}

func config(name string) Config {
	c := Default()
	c.Name, c.LR, c.WeightDecay, c.Clip = name, 0.01, 0.1, 3
	return c
}

// wide is a slice in float64.
func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func (b *bench) equals(t *testing.T, what string, want map[string][]float64, tol float64) {
	t.Helper()
	for _, p := range b.set.Params {
		for i, w := range p.Data() {
			if math.Abs(float64(w)-want[p.Name][i]) > tol {
				t.Fatalf("%s: %s element %d is %g, expected %g", what, p.Name, i, w, want[p.Name][i])
			}
		}
	}
}

// elementwise runs five steps of an optimizer against its formula for one element:
// state is its own.
func elementwise(t *testing.T, c Config, rule func(step int, w, g, decay float64, state *[2]float64) float64) {
	t.Helper()
	b := newBench(t)
	o := New(b.set, c)
	defer Close(o)
	want, state := map[string][]float64{}, map[string][][2]float64{}
	for _, p := range b.set.Params {
		want[p.Name], state[p.Name] = wide(p.Data()), make([][2]float64, p.Size())
	}
	for step := 1; step <= 5; step++ {
		u := b.draw(c.LR)
		scale := math.Min(1, c.Clip/u.Norm)
		if scale == 1 {
			t.Fatal("the gradients are not clipped")
		}
		for _, p := range b.set.Params {
			decay := 0.0
			if p.Decay {
				decay = c.WeightDecay
			}
			for i, g := range p.In(b.grads) {
				want[p.Name][i] = rule(step, want[p.Name][i], scale*float64(g), decay, &state[p.Name][i])
			}
		}
		o.Update(u)
		b.equals(t, c.Name, want, 2e-6)
		if slices.ContainsFunc(b.grads.Data, func(g float32) bool { return g != 0 }) {
			t.Fatal("the gradients are not cleared")
		}
	}
	if o.Updates() != 5 {
		t.Errorf("%d updates are counted, expected 5", o.Updates())
	}
}

func TestAdamW(t *testing.T) {
	c := config("adamw")
	elementwise(t, c, func(step int, w, g, decay float64, s *[2]float64) float64 {
		s[0], s[1] = c.Beta1*s[0]+(1-c.Beta1)*g, c.Beta2*s[1]+(1-c.Beta2)*g*g
		m, v := s[0]/(1-math.Pow(c.Beta1, float64(step))), s[1]/(1-math.Pow(c.Beta2, float64(step)))
		return w*(1-c.LR*decay) - c.LR*m/(math.Sqrt(v)+c.Eps)
	})
}

func TestSGD(t *testing.T) {
	for _, beta := range []float64{0, 0.9} {
		c := config("sgd")
		c.Beta1 = beta
		elementwise(t, c, func(_ int, w, g, decay float64, s *[2]float64) float64 {
			s[0] = beta*s[0] + g
			return w*(1-c.LR*decay) - c.LR*s[0]
		})
	}
}

// TestPartsUpdateAsTheWhole: the parts of three ranks, put together, are the whole
// optimizer: weights and state, to the bit.
func TestPartsUpdateAsTheWhole(t *testing.T) {
	for _, name := range Names() {
		whole, split := newBench(t), newBench(t)
		o := New(whole.set, config(name))
		defer Close(o)
		parts := Parts(split.set, 3)
		var os []Interface
		for _, p := range parts {
			os = append(os, NewPart(split.set, config(name), p))
		}
		for range 3 {
			o.Update(whole.draw(0.01))
			u := split.draw(0.01)
			for _, x := range os {
				x.Update(u)
			}
		}
		if !slices.Equal(whole.set.Weights.Data, split.set.Weights.Data) {
			t.Errorf("%s: the weights differ", name)
		}
		for i, s := range o.Slabs() {
			bounds := s.Bounds(split.set, parts)
			for r, x := range os {
				if !slices.Equal(x.Slabs()[i].Slab.Data, s.Slab.Data[bounds[r]:bounds[r+1]]) {
					t.Errorf("%s: %s of rank %d differs", name, s.Name, r)
				}
			}
			if bounds[3] != len(s.Slab.Data) {
				t.Errorf("%s: %s has %d elements, its parts %d", name, s.Name, len(s.Slab.Data), bounds[3])
			}
		}
		for _, x := range os {
			Close(x)
		}
	}
}

// TestEveryRule: state resets, is counted in bytes, is named uniquely; a stale gradient
// is left to be overwritten; a part without blocks does nothing.
func TestEveryRule(t *testing.T) {
	for _, name := range Names() {
		b := newBench(t)
		c := config(name)
		o := New(b.set, c)
		defer Close(o)
		n, names := int64(0), map[string]bool{}
		for _, s := range o.Slabs() {
			n += 4 * int64(len(s.Slab.Data))
			if names[s.Name] {
				t.Errorf("%s: two slabs are named %s", name, s.Name)
			}
			names[s.Name] = true
		}
		if got := StateBytes(b.set, c); got != n {
			t.Errorf("%s: %d bytes are planned, %d are taken", name, got, n)
		}
		if got, want := o.BytesPerParam(), float64(n)/float64(b.set.Count()); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %g bytes a parameter, expected %g", name, got, want)
		}
		u := b.draw(c.LR)
		u.Stale = func(block string) bool { return block == "up" }
		before := slices.Clone(b.set.Param("up").In(b.grads))
		o.Update(u)
		if !slices.Equal(before, b.set.Param("up").In(b.grads)) {
			t.Errorf("%s: a stale gradient was changed", name)
		}
		if slices.ContainsFunc(b.set.Param("q").In(b.grads), func(g float32) bool { return g != 0 }) {
			t.Errorf("%s: a gradient was not cleared", name)
		}
		Reset(o)
		for _, s := range o.Slabs() {
			if slices.ContainsFunc(s.Slab.Data, func(x float32) bool { return x != 0 }) {
				t.Errorf("%s: %s is not reset", name, s.Name)
			}
		}
		empty := NewPart(b.set, c, Part{2, 2})
		w := slices.Clone(b.set.Weights.Data)
		empty.Update(b.draw(c.LR))
		if !slices.Equal(w, b.set.Weights.Data) {
			t.Errorf("%s: a part without blocks changed weights", name)
		}
		Close(empty)
	}
}

func TestPartsCoverTheSet(t *testing.T) {
	b := newBench(t)
	for n := 1; n <= 9; n++ {
		at := 0
		for _, p := range Parts(b.set, n) {
			if p.Lo != at || p.Hi < p.Lo {
				t.Fatalf("%d ranks: a part of blocks %d to %d follows block %d", n, p.Lo, p.Hi, at)
			}
			at = p.Hi
		}
		if at != len(b.set.Blocks) {
			t.Errorf("%d ranks have %d blocks of %d", n, at, len(b.set.Blocks))
		}
	}
}
