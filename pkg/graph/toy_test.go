package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// toy is a small model of pre-norm blocks with learned positions and a tied
// head. Its style has a letter a layer: l as LLaMA builds them (RMSNorm, RoPE,
// SwiGLU, grouped queries), g as GPT-2 (LayerNorm, GELU, biases). Its sizes are
// odd and different, so that mistakes show.
type toy struct {
	set             *param.Set
	style           string
	b, t, v         int
	g, r, qk, vo, f int // qk in pairs for l, in columns for g
	e               int
	bf16            bool
	// gate, where it is not nil, changes a tapped value.
	gate func(b *Builder, n *Node, dim string, col0, units, width int) *Node
}

func newToy(tb testing.TB, style string) *toy {
	return (&toy{style: style, b: 2, t: 5, v: 11, g: 2, r: 2, qk: 3, vo: 5, f: 7, e: 8}).init(tb)
}

func (m *toy) init(tb testing.TB) *toy {
	e := param.Dim{Name: "embed", Size: m.e}
	norm, w := param.Init{Mean: 1, Std: 0.1}, param.Init{Std: 0.3}
	var specs []param.Spec
	add := func(name, block string, init param.Init, dims ...param.Dim) {
		specs = append(specs, param.Spec{Name: name, Block: block, Dims: dims, Init: init})
	}
	add("tok", "", w, param.Dim{Name: "vocab", Size: m.v}, e)
	add("pos", "", w, param.Dim{Size: m.t + 4}, e)
	add("norm", "", norm, e)
	for i, s := range m.style {
		l := fmt.Sprint(i)
		kv := param.Dim{Name: l + ".kv", Size: m.g}
		qk := param.Dim{Name: l + ".qk", Size: m.qk, Per: kv.Name, Track: s == 'l'}
		vo := param.Dim{Name: l + ".vo", Size: m.vo, Per: kv.Name}
		f := param.Dim{Name: l + ".ffn", Size: m.f}
		r, two := param.Dim{Size: m.r}, param.Dim{Size: 2}
		if s == 'l' {
			add(l+".q", l+".qkv", w, kv, r, qk, two, e)
			add(l+".k", l+".qkv", w, kv, qk, two, e)
			add(l+".v", l+".qkv", w, kv, vo, e)
			add(l+".o", "", w, kv, r, vo, e)
			add(l+".n1", "", norm, e)
			add(l+".n2", "", norm, e)
			add(l+".gate", l+".gu", w, f, e)
			add(l+".up", l+".gu", w, f, e)
			add(l+".down", "", w, f, e)
			continue
		}
		add(l+".q", l+".qkv", w, kv, r, qk, e)
		add(l+".k", l+".qkv", w, kv, qk, e)
		add(l+".v", l+".qkv", w, kv, vo, e)
		add(l+".bq", l+".bqkv", w, kv, r, qk)
		add(l+".bk", l+".bqkv", w, kv, qk)
		add(l+".bv", l+".bqkv", w, kv, vo)
		add(l+".o", "", w, kv, r, vo, e)
		add(l+".bo", "", w, e)
		for _, n := range []string{".n1", ".n2"} {
			add(l+n+".gain", l+n, norm, e)
			add(l+n+".bias", l+n, w, e)
		}
		add(l+".in", "", w, f, e)
		add(l+".bin", "", w, f)
		add(l+".out", "", w, f, e)
		add(l+".bout", "", w, e)
	}
	set, err := param.New(specs)
	if err != nil {
		tb.Fatal(err)
	}
	set.Init(1)
	m.set = set
	return m
}

func (m *toy) build(train bool) *Builder { return m.with(BuildOptions{Train: train}) }

func (m *toy) with(o BuildOptions) *Builder {
	o.BF16 = m.bf16
	b := NewBuilder(m.set, o)
	x := b.Embed(b.IDs("ids", m.b*m.t), b.Param("tok"))
	x = b.AddRows(x, b.Param("pos"), m.t)
	for i, s := range m.style {
		end := b.Checkpoint(RecomputeLayer)
		if s == 'l' {
			x = m.llama(b, x, fmt.Sprint(i))
		} else {
			x = m.gpt2(b, x, fmt.Sprint(i), i%2 == 0)
		}
		end()
	}
	x = b.RMSNorm(x, b.Param("norm"), RMSNorm{Eps: 1e-6})
	b.HeadLoss(LossOperands{X: x, W: b.Param("tok"), Targets: b.IDs("targets", m.b*m.t), Scale: b.Scalar("scale")}, Head{})
	return b
}

func (m *toy) shape(l string) Shape {
	d := func(s string) int { return m.set.Dim(l + s).Size }
	return Shape{B: m.b, T: m.t, G: d(".kv"), R: m.r, QK: d(".qk"), VO: d(".vo"), Scale: 0.5, Causal: true}
}

func (m *toy) tap(b *Builder, n *Node, dim string, col0, units, width int) *Node {
	if m.gate != nil {
		n = m.gate(b, n, dim, col0, units, width)
	}
	b.Tap(dim, n, m.b, col0, units, width)
	return n
}

func (m *toy) llama(b *Builder, x *Node, l string) *Node {
	s := m.shape(l)
	s.QK *= 2
	end := b.Checkpoint(RecomputeAttention)
	h := b.RMSNorm(x, b.Param(l+".n1"), RMSNorm{Eps: 1e-6})
	qkv := b.Kept(b.RoPE(b.Linear(h, b.Param(l+".qkv"), nil), nil, Rotary{Freqs: m.freqs(l), Length: m.t}, s, nil))
	qkv = m.tap(b, qkv, l+".qk", s.G*s.R*s.QK, s.G*s.QK/2, 2)
	qkv = m.tap(b, qkv, l+".vo", s.G*(s.R+1)*s.QK, s.G*s.VO, 1)
	ctx := b.Attention(qkv, nil, s)
	b.Site(l+".ctx", ctx)
	x = b.LinearIn(ctx, b.Param(l+".o"), nil, x)
	end()
	h = b.SwiGLU(b.Kept(b.Linear(b.RMSNorm(x, b.Param(l+".n2"), RMSNorm{Eps: 1e-6}), b.Param(l+".gu"), nil)))
	h = m.tap(b, h, l+".ffn", 0, m.set.Dim(l+".ffn").Size, 1)
	return b.LinearIn(h, b.Param(l+".down"), nil, x)
}

func (m *toy) freqs(l string) [][]float32 {
	var freqs [][]float32
	for _, pairs := range m.set.Origin(l + ".qk") {
		var f []float32
		for _, p := range pairs {
			f = append(f, float32(math.Pow(100, -float64(p)/3)))
		}
		freqs = append(freqs, f)
	}
	return freqs
}

func (m *toy) gpt2(b *Builder, x *Node, l string, tanh bool) *Node {
	s := m.shape(l)
	qkv := b.Kept(b.Linear(b.LayerNorm(x, b.Param(l+".n1"), 1e-5), b.Param(l+".qkv"), b.Param(l+".bqkv")))
	qkv = m.tap(b, qkv, l+".qk", s.G*s.R*s.QK, s.G*s.QK, 1)
	qkv = m.tap(b, qkv, l+".vo", s.G*(s.R+1)*s.QK, s.G*s.VO, 1)
	x = b.LinearIn(b.Attention(qkv, nil, s), b.Param(l+".o"), b.Param(l+".bo"), x)
	h := b.GELU(b.Kept(b.Linear(b.LayerNorm(x, b.Param(l+".n2"), 1e-5), b.Param(l+".in"), b.Param(l+".bin"))), tanh)
	h = m.tap(b, h, l+".ffn", 0, m.set.Dim(l+".ffn").Size, 1)
	return b.LinearIn(h, b.Param(l+".out"), b.Param(l+".bout"), x)
}

// feed gives a machine one batch, always the same: all but one of its targets count.
func (m *toy) feed(tb testing.TB, mc *Machine) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	ids, targets := make([]int32, m.b*m.t), make([]int32, m.b*m.t)
	for i := range ids {
		ids[i], targets[i] = int32(rng.IntN(m.v)), int32(rng.IntN(m.v))
	}
	targets[3] = -1
	ok(tb, mc.SetInts("ids", ids), mc.SetInts("targets", targets), mc.SetFloats("scale", 1/float32(len(ids)-1)))
}

func ok(tb testing.TB, errs ...error) {
	tb.Helper()
	for _, err := range errs {
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func newPool(tb testing.TB) *kernel.Pool {
	p := kernel.NewPool(2)
	tb.Cleanup(p.Close)
	return p
}

func lowered(tb testing.TB, b *Builder, o LowerOptions) *Machine {
	tb.Helper()
	if o.Pool == nil {
		o.Pool = newPool(tb)
	}
	m, err := b.Lower(o)
	ok(tb, err)
	tb.Cleanup(func() { m.Close() })
	return m
}

// run lowers the toy to train, runs it n times and returns machine and gradients.
func (m *toy) run(tb testing.TB, n int, o LowerOptions) (*Machine, *param.Slab) {
	tb.Helper()
	grads := m.set.NewSlab()
	o.Grads = grads
	mc := lowered(tb, m.build(true), o)
	m.feed(tb, mc)
	for range n {
		ok(tb, mc.RunAll())
	}
	return mc, grads
}
