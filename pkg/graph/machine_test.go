package graph

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// toy is two pre-norm blocks in the style of both families: even layers as
// LLaMA builds them (RMSNorm, RoPE, SwiGLU, grouped queries), odd ones as GPT-2
// (LayerNorm, GELU, biases), with learned positions and a tied head.
type toy struct {
	set       *param.Set
	b, t, v   int
	g, r, qk  int // qk in pairs for even layers, in columns for odd ones
	vo, f, e  int
	positions bool
}

func newToy(tb testing.TB, layers int) *toy {
	m := &toy{b: 2, t: 5, v: 11, g: 2, r: 2, qk: 3, vo: 5, f: 7, e: 8}
	e := param.Dim{Name: "embed", Size: m.e}
	norm := param.Init{Mean: 1, Std: 0.1}
	w := param.Init{Std: 0.3}
	specs := []param.Spec{
		{Name: "tok", Dims: []param.Dim{{Name: "vocab", Size: m.v}, e}, Init: w},
		{Name: "pos", Dims: []param.Dim{{Size: 9}, e}, Init: w},
		{Name: "norm", Dims: []param.Dim{e}, Init: norm},
	}
	for i := range layers {
		l := string(rune('0' + i))
		kv := param.Dim{Name: l + ".kv", Size: m.g}
		qk := param.Dim{Name: l + ".qk", Size: m.qk, Per: kv.Name, Track: i%2 == 0}
		vo := param.Dim{Name: l + ".vo", Size: m.vo, Per: kv.Name}
		f := param.Dim{Name: l + ".ffn", Size: m.f}
		r := param.Dim{Size: m.r}
		q := []param.Dim{kv, r, qk}
		k := []param.Dim{kv, qk}
		if i%2 == 0 {
			q, k = append(q, param.Dim{Size: 2}), append(k, param.Dim{Size: 2})
		}
		with := func(d []param.Dim, more ...param.Dim) []param.Dim {
			return append(append([]param.Dim(nil), d...), more...)
		}
		specs = append(specs,
			param.Spec{Name: l + ".q", Dims: with(q, e), Block: l + ".qkv", Init: w},
			param.Spec{Name: l + ".k", Dims: with(k, e), Block: l + ".qkv", Init: w},
			param.Spec{Name: l + ".v", Dims: []param.Dim{kv, vo, e}, Block: l + ".qkv", Init: w},
			param.Spec{Name: l + ".o", Dims: []param.Dim{kv, r, vo, e}, Init: w})
		if i%2 == 0 {
			specs = append(specs,
				param.Spec{Name: l + ".n1", Dims: []param.Dim{e}, Init: norm}, param.Spec{Name: l + ".n2", Dims: []param.Dim{e}, Init: norm},
				param.Spec{Name: l + ".gate", Dims: []param.Dim{f, e}, Block: l + ".gu", Init: w},
				param.Spec{Name: l + ".up", Dims: []param.Dim{f, e}, Block: l + ".gu", Init: w},
				param.Spec{Name: l + ".down", Dims: []param.Dim{f, e}, Init: w})
			continue
		}
		for _, n := range []string{".n1", ".n2"} {
			specs = append(specs, param.Spec{Name: l + n + ".gain", Dims: []param.Dim{e}, Block: l + n, Init: norm},
				param.Spec{Name: l + n + ".bias", Dims: []param.Dim{e}, Block: l + n, Init: w})
		}
		specs = append(specs,
			param.Spec{Name: l + ".bq", Dims: q, Block: l + ".bqkv", Init: w}, param.Spec{Name: l + ".bk", Dims: k, Block: l + ".bqkv", Init: w},
			param.Spec{Name: l + ".bv", Dims: []param.Dim{kv, vo}, Block: l + ".bqkv", Init: w},
			param.Spec{Name: l + ".bo", Dims: []param.Dim{e}, Init: w},
			param.Spec{Name: l + ".in", Dims: []param.Dim{f, e}, Init: w}, param.Spec{Name: l + ".bin", Dims: []param.Dim{f}, Init: w},
			param.Spec{Name: l + ".out", Dims: []param.Dim{f, e}, Init: w}, param.Spec{Name: l + ".bout", Dims: []param.Dim{e}, Init: w})
	}
	set, err := param.New(specs)
	if err != nil {
		tb.Fatal(err)
	}
	set.Init(1)
	m.set = set
	return m
}

func (m *toy) build(train bool, layers int) *Builder {
	b := NewBuilder(m.set, BuildOptions{Train: train})
	x := b.Embed(b.IDs("ids", m.b*m.t), b.Param("tok"))
	x = b.AddRows(x, b.Param("pos"), m.t)
	for i := range layers {
		l := string(rune('0' + i))
		g, qk, vo, f := m.set.Dim(l+".kv").Size, m.set.Dim(l+".qk").Size, m.set.Dim(l+".vo").Size, m.set.Dim(l+".ffn").Size
		rope := i%2 == 0
		s := Shape{B: m.b, T: m.t, G: g, R: m.r, QK: qk, VO: vo, Scale: 0.5, Causal: true}
		if rope {
			s.QK *= 2
			h := b.RMSNorm(x, b.Param(l+".n1"), 1e-6)
			var freqs [][]float32
			for _, pairs := range m.set.Origin(l + ".qk") {
				var fr []float32
				for _, p := range pairs {
					fr = append(fr, float32(math.Pow(100, -float64(p)/3)))
				}
				freqs = append(freqs, fr)
			}
			qkv := b.RoPE(b.Linear(h, b.Param(l+".qkv"), nil), freqs, s, m.t, nil)
			b.Tap(l+".qk", qkv, m.b, g*m.r*s.QK, g*qk, 2)
			b.Tap(l+".vo", qkv, m.b, g*(m.r+1)*s.QK, g*vo, 1)
			x = b.LinearIn(b.Attention(qkv, s), b.Param(l+".o"), nil, x)
			hid := b.SwiGLU(b.Linear(b.RMSNorm(x, b.Param(l+".n2"), 1e-6), b.Param(l+".gu"), nil))
			b.Tap(l+".ffn", hid, m.b, 0, f, 1)
			x = b.LinearIn(hid, b.Param(l+".down"), nil, x)
			continue
		}
		qkv := b.Linear(b.LayerNorm(x, b.Param(l+".n1"), 1e-5), b.Param(l+".qkv"), b.Param(l+".bqkv"))
		b.Tap(l+".qk", qkv, m.b, g*m.r*s.QK, g*qk, 1)
		b.Tap(l+".vo", qkv, m.b, g*(m.r+1)*s.QK, g*vo, 1)
		x = b.LinearIn(b.Attention(qkv, s), b.Param(l+".o"), b.Param(l+".bo"), x)
		hid := b.GELU(b.Linear(b.LayerNorm(x, b.Param(l+".n2"), 1e-5), b.Param(l+".in"), b.Param(l+".bin")), i%4 == 1)
		b.Tap(l+".ffn", hid, m.b, 0, f, 1)
		x = b.LinearIn(hid, b.Param(l+".out"), b.Param(l+".bout"), x)
	}
	x = b.RMSNorm(x, b.Param("norm"), 1e-6)
	b.HeadLoss(x, b.Param("tok"), nil, b.IDs("targets", m.b*m.t), b.Scalar("scale"), 0)
	return b
}

func (m *toy) feed(tb testing.TB, mc *Machine) {
	rng := rand.New(rand.NewPCG(7, 7))
	ids, targets := make([]int32, m.b*m.t), make([]int32, m.b*m.t)
	for i := range ids {
		ids[i], targets[i] = int32(rng.IntN(m.v)), int32(rng.IntN(m.v))
	}
	targets[3] = -1
	for _, err := range []error{mc.SetInts("ids", ids), mc.SetInts("targets", targets), mc.SetFloats("scale", 1.0/9)} {
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func lowered(tb testing.TB, b *Builder, o LowerOptions) *Machine {
	tb.Helper()
	m, err := b.Lower(o)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// TestGradientsByFiniteDifferences checks every parameter's gradient of a whole
// model along a random direction, block by block.
func TestGradientsByFiniteDifferences(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	m := newToy(t, 4)
	grads := m.set.NewSlab()
	mc := lowered(t, m.build(true, 4), LowerOptions{Pool: pool, Grads: grads})
	m.feed(t, mc)
	eval := lowered(t, m.build(false, 4), LowerOptions{Pool: pool})
	m.feed(t, eval)
	mc.RunAll()
	loss := func() float64 {
		eval.RunAll()
		sum := 0.0
		for _, l := range eval.Output("nll") { // summed in float64: sharper than the float32 loss
			sum += float64(l)
		}
		return sum / 9
	}
	if d := math.Abs(loss() - float64(mc.Output("loss")[0])); d > 1e-6 {
		t.Fatalf("loss of training and evaluation differ by %g", d)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, bl := range m.set.Blocks {
		w, g := bl.In(m.set.Weights), bl.In(grads)
		dir := make([]float32, len(w))
		norm := 0.0
		for i := range dir {
			dir[i] = float32(rng.NormFloat64())
			norm += float64(dir[i]) * float64(dir[i])
		}
		want, scale := 0.0, 0.0
		for i := range dir {
			dir[i] /= float32(math.Sqrt(norm))
			want += float64(dir[i]) * float64(g[i])
			scale += float64(g[i]) * float64(g[i])
		}
		const h = 2e-2
		shift := func(by float32) {
			for i := range w {
				w[i] += by * dir[i]
			}
		}
		keep := append([]float32(nil), w...)
		at := func(by float32) float64 { copy(w, keep); shift(by); return loss() }
		// Fourth-order differences: float32 noise 1e-7 over h allows h this large.
		got := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
		copy(w, keep)
		if math.Abs(got-want) > 3e-5+2e-3*math.Sqrt(scale) {
			t.Errorf("%s: finite differences give %g, the graph %g", bl.Name, got, want)
		}
	}
}

// TestPlanChangesNothing: sharing memory gives the same bits as memory for every value.
func TestPlanChangesNothing(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	m := newToy(t, 4)
	ga, gb := m.set.NewSlab(), m.set.NewSlab()
	a := lowered(t, m.build(true, 4), LowerOptions{Pool: pool, Grads: ga, Taps: true})
	b := lowered(t, m.build(true, 4), LowerOptions{Pool: pool, Grads: gb, Taps: true, private: true})
	m.feed(t, a)
	m.feed(t, b)
	for range 2 { // the second run accumulates, and finds the arena used
		a.RunAll()
		b.RunAll()
	}
	for i := range ga.Data {
		if ga.Data[i] != gb.Data[i] {
			t.Fatalf("gradient %d differs: %g and %g", i, ga.Data[i], gb.Data[i])
		}
	}
	for name := range a.Outputs() {
		for i, v := range a.Output(name) {
			if v != b.Output(name)[i] {
				t.Fatalf("output %s[%d] differs", name, i)
			}
		}
	}
	if r := float64(a.Plan().ArenaBytes()) / float64(b.Plan().ArenaBytes()); r > 0.6 {
		t.Errorf("the plan takes %.2f of the memory of all values, expected at most 0.6", r)
	} else {
		t.Logf("planned bytes are %.2f of all values", r)
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	m := newToy(t, 2)
	mc := lowered(t, m.build(true, 2), LowerOptions{Pool: pool, Grads: m.set.NewSlab(), Taps: true})
	m.feed(t, mc)
	mc.RunAll()
	if n := testing.AllocsPerRun(20, func() { mc.RunAll() }); n > 2 {
		t.Errorf("a run makes %g heap allocations, expected none", n)
	}
}

// TestGateIdentities checks the two identities of ECOSPA.md, "Coupled
// estimation": a unit's gate gradient is the inner product of either partner's
// rows with their gradients.
func TestGateIdentities(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	m := newToy(t, 4)
	grads := m.set.NewSlab()
	mc := lowered(t, m.build(true, 4), LowerOptions{Pool: pool, Grads: grads, Taps: true})
	m.feed(t, mc)
	mc.RunAll()
	for i := range 4 {
		l := string(rune('0' + i))
		for kind, sides := range map[string][][]string{
			".qk":  {{l + ".q", l + ".bq"}, {l + ".k", l + ".bk"}},
			".vo":  {{l + ".v", l + ".bv"}, {l + ".o"}},
			".ffn": {{l + ".down", l + ".out"}},
		} {
			r := mc.Output("gate:" + l + kind)
			units := len(r) / m.b
			for _, side := range sides {
				got := make([]float64, units)
				for _, name := range side {
					if p := m.set.Param(name); p != nil {
						addUnits(got, p, l+kind, grads)
					}
				}
				for u := range got {
					want := 0.0
					for b := range m.b {
						want += float64(r[b*units+u])
					}
					// Sums of about a hundred float32 products of size 0.1.
					if math.Abs(got[u]-want) > 1e-5 {
						t.Errorf("%s unit %d: gate %g, %v give %g", l+kind, u, want, side, got[u])
					}
				}
			}
		}
	}
}

// addUnits adds <w, g> of every unit of dimension dim of p, units numbered
// across the K/V heads.
func addUnits(sum []float64, p *param.Param, dim string, grads *param.Slab) {
	inner, outer, at := 1, 1, -1
	for i, d := range p.Dims {
		if d.Name == dim {
			at = i
		}
	}
	for i, d := range p.Dims {
		if i > at {
			inner *= d.Size
		} else if i > 0 && i < at {
			outer *= d.Size // the query heads of a K/V head
		}
	}
	units := p.Dims[at].Size
	for i, w := range p.Data() {
		u := i / inner % units
		if at > 0 {
			u += i / (inner * units * outer) * units
		}
		sum[u] += float64(w) * float64(p.In(grads)[i])
	}
}
