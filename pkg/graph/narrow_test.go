package graph

import (
	"errors"
	"math"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// TestNarrowChangesNothing: values that are stored as bfloat16 give the bits of losses,
// gradients and gates that the same values stored as float32 give, whatever is recomputed, in
// memory of a value's own, in memory that is NaN when nothing needs it and in that of gradients.
func TestNarrowChangesNothing(t *testing.T) {
	m := newToy(t, "lglg")
	m.bf16 = true
	want, gradients := m.run(t, 2, LowerOptions{Taps: true, wide: true})
	for _, r := range []Recompute{KeepAll, RecomputeLight, RecomputeAttention, RecomputeLayer} {
		for _, o := range []LowerOptions{{}, {private: true}, {poison: true}, {wide: true}} {
			o.Taps, o.Recompute = true, r
			got, grads := m.run(t, 2, o)
			sameBits(t, want, got, gradients, grads)
		}
	}
	once, gradients := m.run(t, 1, LowerOptions{Taps: true, wide: true})
	grads := m.set.NewSlab()
	mc := lowered(t, m.build(true), LowerOptions{Grads: grads, Taps: true, InGradients: true, poison: true})
	m.feed(t, mc)
	for range 2 {
		ok(t, mc.RunFresh())
		sameBits(t, once, mc, gradients, grads)
	}
}

// TestNarrowArena states what bfloat16 saves for a graph of LLaMA's proportions: the values
// that are kept for the backward pass but the residual stream are half as large.
func TestNarrowArena(t *testing.T) {
	m := (&toy{style: "llllllll", b: 2, t: 64, v: 512, g: 4, r: 2, qk: 8, vo: 16, f: 352, e: 128}).init(t)
	for r, most := range map[Recompute]float64{KeepAll: 0.60, RecomputeLight: 0.64} {
		var bytes, gates [2]float64
		for i := range bytes {
			m.bf16 = i == 1
			p, err := m.build(true).Plan(PlanOptions{Recompute: r})
			ok(t, err)
			bytes[i] = float64(p.ArenaBytes())
			p, err = m.build(true).Plan(PlanOptions{Recompute: r, Taps: true})
			ok(t, err)
			gates[i] = float64(p.ArenaBytes())
		}
		t.Logf("recompute %s: %.3f of float32's arena, %.3f with gates", r, bytes[1]/bytes[0], gates[1]/gates[0])
		if bytes[1] > most*bytes[0] || gates[1] > most*gates[0] {
			t.Errorf("recompute %s: bfloat16 takes %.3f of float32's arena, %.3f with gates; expected at most %.2f", r, bytes[1]/bytes[0], gates[1]/gates[0], most)
		}
	}
}

// TestNarrowIsSeen: values that are stored as bfloat16 are shown to an observer as float32
// and searched for what is not finite, and neither changes the loss.
func TestNarrowIsSeen(t *testing.T) {
	m := newToy(t, "lg")
	m.bf16 = true
	plain, gradients := m.run(t, 1, LowerOptions{})
	seen := 0
	watched, grads := m.run(t, 1, LowerOptions{Observe: func(site string, x []float32, rows, cols int) error {
		if len(x) != rows*cols || rows*cols == 0 {
			return errors.New("no values")
		}
		back, bits := make([]float32, len(x)), make([]uint16, len(x))
		kernel.ToBF16(bits, x)
		kernel.FromBF16(back, bits)
		for i, v := range x {
			if v != back[i] {
				t.Fatalf("%s: value %d is %g, not of bfloat16", site, i, v)
			}
		}
		seen++
		return nil
	}})
	if sameBits(t, plain, watched, gradients, grads); seen == 0 {
		t.Error("no site was shown")
	}
	w := m.set.Param("0.n1").Data()
	was := w[0]
	w[0] = float32(math.Inf(1))
	bad, err := plain.FirstNonFinite()
	w[0] = was
	if err != nil || bad == nil || bad.Op != "RMSNorm" || bad.Block != "0.n1" {
		t.Errorf("an infinite gain: %v, %v", bad, err)
	}
}

// TestRoundedGradients: gradients of values rounded to bfloat16 are those of float32 but
// for the rounding, block by block.
func TestRoundedGradients(t *testing.T) {
	m := newToy(t, "lglg")
	_, want := m.run(t, 1, LowerOptions{})
	m.bf16 = true
	_, got := m.run(t, 1, LowerOptions{})
	for _, b := range m.set.Blocks {
		diff, size := 0.0, 0.0
		for i, w := range b.In(want) {
			d := float64(b.In(got)[i] - w)
			diff, size = diff+d*d, size+float64(w)*float64(w)
		}
		if !(math.Sqrt(diff) <= 0.03*math.Sqrt(size)) {
			t.Errorf("%s: gradients differ by %.4f of their norm", b.Name, math.Sqrt(diff/size))
		}
	}
}

// TestNarrowBesideBytes: products with frozen weights of eight bits are of float32 and read
// values as they are: only what is rounded in any case is stored as bfloat16 for them.
func TestNarrowBesideBytes(t *testing.T) {
	set := storedModel(t)
	ok(t, set.StoreAll(param.Q8))
	adapters, err := param.New([]param.Spec{{Name: "square", Dims: []param.Dim{{Size: 64}, {Size: 64}}, Init: param.Init{Std: 0.1}}})
	ok(t, err)
	adapters.Init(6)
	var grads [2]*param.Slab
	var mc [2]*Machine
	for i := range mc {
		b := NewBuilder(set, BuildOptions{Train: true, BF16: true})
		b.Adapt(adapters)
		x := b.Embed(b.IDs("ids", 6), b.Param("embed"))
		h := b.RMSNorm(b.Linear(x, b.Param("square"), nil), b.Param("norm"), RMSNorm{Eps: 1e-5})
		h = b.GELU(b.Kept(b.Linear(h, b.Param("up"), nil)), true)
		x = b.LinearIn(h, b.Param("down"), nil, x)
		b.HeadLoss(LossOperands{X: x, W: b.Param("embed"), Targets: b.IDs("targets", 6), Scale: b.Scalar("scale")}, Head{})
		grads[i] = adapters.NewSlab()
		mc[i] = lowered(t, b, LowerOptions{AdapterGrads: grads[i], wide: i == 1})
		feedStored(t, mc[i])
		ok(t, mc[i].RunAll())
	}
	sameBits(t, mc[0], mc[1], grads[0], grads[1])
	if a, b := mc[0].Plan().ValueBytes(), mc[1].Plan().ValueBytes(); a >= b {
		t.Errorf("no value is stored as bfloat16: %d bytes, as float32 %d", a, b)
	}
}
