package graph

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// sameBits compares the outputs of two machines, and two gradient slabs, bit for bit.
func sameBits(t *testing.T, a, b *Machine, ga, gb *param.Slab) {
	t.Helper()
	for i := range ga.Data {
		if ga.Data[i] != gb.Data[i] {
			t.Fatalf("gradient %d differs: %g and %g", i, ga.Data[i], gb.Data[i])
		}
	}
	if len(a.Outputs()) == 0 {
		t.Fatal("no outputs")
	}
	for name := range a.Outputs() {
		for i, v := range a.Output(name) {
			if v != b.Output(name)[i] {
				t.Fatalf("output %s[%d] differs: %g and %g", name, i, v, b.Output(name)[i])
			}
		}
	}
}

// TestPlanChangesNothing: shared memory gives the same bits as memory of its own
// for every value, in a second run too, which accumulates and finds the arena used.
func TestPlanChangesNothing(t *testing.T) {
	m := newToy(t, "lglg")
	a, ga := m.run(t, 2, LowerOptions{Taps: true})
	b, gb := m.run(t, 2, LowerOptions{Taps: true, private: true})
	sameBits(t, a, b, ga, gb)
	if a.Plan().ArenaBytes() >= b.Plan().ArenaBytes() {
		t.Errorf("sharing memory takes %d bytes, memory of its own %d", a.Plan().ArenaBytes(), b.Plan().ArenaBytes())
	}
}

// TestDeadValuesAreNotRead: filling memory with NaN as soon as nothing needs it,
// and before the first run, changes no bit.
func TestDeadValuesAreNotRead(t *testing.T) {
	m := newToy(t, "lglg")
	for _, r := range []Recompute{KeepAll, RecomputeLight, RecomputeAttention, RecomputeLayer} {
		a, ga := m.run(t, 2, LowerOptions{Taps: true, Recompute: r})
		b, gb := m.run(t, 2, LowerOptions{Taps: true, Recompute: r, poison: true})
		sameBits(t, a, b, ga, gb)
	}
}

// TestPoisonShows: the test above can fail. A value whose life is cut short is read as NaN.
func TestPoisonShows(t *testing.T) {
	m := newToy(t, "l")
	b := m.build(true)
	b.Output("early", b.RMSNorm(b.Param("tok"), b.Param("norm"), RMSNorm{Eps: 1e-6}))
	mc := lowered(t, b, LowerOptions{poison: true})
	m.feed(t, mc)
	ok(t, mc.RunAll())
	if v := mc.Output("early")[0]; v != v {
		t.Fatalf("an output is %g after the run", v)
	}
	for i, c := range mc.calls {
		if c.op == poison && i > 0 && len(c.Out) > 0 {
			if c.Out[0] == c.Out[0] {
				return // used again by another value: expected for some
			}
			return
		}
	}
	t.Fatal("nothing was poisoned")
}

// TestPlannedMemory states what the plan saves for a graph like LLaMA's, at its
// real proportions.
func TestPlannedMemory(t *testing.T) {
	m := (&toy{style: "llllllll", b: 2, t: 64, v: 512, g: 4, r: 2, qk: 8, vo: 16, f: 352, e: 128}).init(t)
	arena := map[Recompute]float64{}
	for _, c := range []struct {
		r     Recompute
		most  float64 // arena over all values
		gates float64 // arena with gates over that without
	}{
		{KeepAll, 0.46, 1.01}, {RecomputeLight, 0.30, 1.01}, {RecomputeAttention, 0.20, 1.01},
		// The fullest step is in a layer's backward pass: a gate keeps the hidden
		// channels until their gradient is there.
		{RecomputeLayer, 0.08, 1.13},
	} {
		mc := lowered(t, m.build(true), LowerOptions{Grads: m.set.NewSlab(), Recompute: c.r})
		p := mc.Plan()
		ratio := float64(p.ArenaBytes()) / float64(p.ValueBytes())
		step, peak := p.Peak()
		var live int64
		for _, b := range peak {
			live += b
		}
		arena[c.r] = float64(p.ArenaBytes())
		t.Logf("recompute %d: %.2f MB planned, %.2f of all values, %.3f of the fullest step (%d of %d: %v); %.2f of the time of products again",
			c.r, float64(p.ArenaBytes())/1e6, ratio, float64(p.ArenaBytes())/float64(live), step, len(p.Steps), peak,
			float64(p.RecomputedFLOPs())/float64(p.FLOPs()))
		taps, err := m.build(true).Plan(PlanOptions{Taps: true, Recompute: c.r})
		ok(t, err)
		if more := float64(taps.ArenaBytes()) / float64(p.ArenaBytes()); more > c.gates {
			t.Errorf("recompute %d: gates make the arena %.3f times as large, expected at most %g", c.r, more, c.gates)
		}
		if ratio > c.most {
			t.Errorf("recompute %d: the plan takes %.2f of all values, expected at most %.2f", c.r, ratio, c.most)
		}
		if lost := float64(p.ArenaBytes()) / float64(live); lost > 1.05 {
			t.Errorf("recompute %d: the arena is %.3f times what is alive at the fullest step, expected at most 1.05", c.r, lost)
		}
	}
}

// TestPlacesDoNotOverlap checks random buffers: none alive together overlap, all
// are aligned and inside the arena.
func TestPlacesDoNotOverlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var bufs []*Buffer
		for range 1 + rng.IntN(40) {
			first := rng.IntN(30)
			bufs = append(bufs, &Buffer{Bytes: int64(4 * rng.IntN(3000)), First: first, Last: first + rng.IntN(10)})
		}
		size := place(bufs, gradSpace{})
		for i, a := range bufs {
			if a.Offset%alignBytes != 0 || a.Offset < 0 || a.Offset+a.Bytes > size {
				t.Fatalf("buffer at %d of %d bytes in an arena of %d", a.Offset, a.Bytes, size)
			}
			for _, b := range bufs[:i] {
				if a.First <= b.Last && b.First <= a.Last && a.Offset < b.Offset+b.Bytes && b.Offset < a.Offset+a.Bytes {
					t.Fatalf("%+v overlaps %+v", *a, *b)
				}
			}
		}
	}
}

// TestResidualStreamInPlace: without a backward pass the residual stream of all
// layers lives in one buffer.
func TestResidualStreamInPlace(t *testing.T) {
	m := newToy(t, "llll")
	p := lowered(t, m.build(false), LowerOptions{}).Plan()
	seen := map[int]bool{}
	n := 0
	for _, s := range p.Steps {
		if s.Name == "LinearIn+residual" {
			seen[s.Buffer] = true
			n++
		}
	}
	if n != 8 || len(seen) != 1 {
		t.Errorf("%d updates of the residual stream use %d buffers, expected 8 and 1", n, len(seen))
	}
}

// TestPlanWithoutMemory: a model without storage has the plan of the one with.
func TestPlanWithoutMemory(t *testing.T) {
	m := newToy(t, "lg")
	mc, _ := m.run(t, 1, LowerOptions{Taps: true})
	var specs []param.Spec
	for _, p := range m.set.Params {
		specs = append(specs, p.Spec)
	}
	set, err := param.Layout(specs)
	ok(t, err)
	m.set = set
	p, err := m.build(true).Plan(PlanOptions{Taps: true})
	ok(t, err)
	if !reflect.DeepEqual(p, mc.Plan()) {
		t.Errorf("plans differ: %d and %d bytes", p.ArenaBytes(), mc.Plan().ArenaBytes())
	}
	if _, err := m.build(true).Lower(LowerOptions{Pool: newPool(t)}); err == nil || !strings.Contains(err.Error(), "no storage") {
		t.Errorf("lowering without storage: %v", err)
	}
	p, err = m.build(false).Plan(PlanOptions{})
	ok(t, err)
	if p.ArenaBytes() >= mc.Plan().ArenaBytes() {
		t.Errorf("evaluation takes %d bytes, training %d", p.ArenaBytes(), mc.Plan().ArenaBytes())
	}
}

// TestFactorIsNotOverwritten: a product's output takes the memory of its residual
// only where that is not a factor as well.
func TestFactorIsNotOverwritten(t *testing.T) {
	set := small(t, map[string][]int{"x": {6, 5}, "w": {5, 5}})
	for _, twice := range []bool{false, true} {
		b := NewBuilder(set, BuildOptions{})
		h := b.Add(b.Param("x"), b.Param("x"))
		residual := h
		if !twice {
			residual = b.Scale(h, 2)
		}
		b.Output("y", b.LinearIn(h, b.Param("w"), nil, residual))
		p, err := b.Plan(PlanOptions{})
		ok(t, err)
		y := p.Steps[p.Outputs["y"]]
		if same := y.Buffer == p.Steps[y.In[2]].Buffer; same == twice {
			t.Errorf("residual is a factor: %t; output takes its memory: %t", twice, same)
		}
	}
}
