package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/ecospa/ecospa/scripts/asm/poly"
)

// softmax writes what softmax and its gradient need.
func softmax(k *kit) {
	k.function("maximum", "(x []float32) (top float32)", "is the largest of x, or -Inf.")
	x, n := pointer("x"), length("x")
	m := k.lowest(4)
	k.loop("", n, 4, func(p *at) { k.top(p, x, m[p.u]) })
	k.result("top", k.fold(m, VMAXPS))
	k.done()

	k.function("expSum", "(y, x []float32, top float32) (s float32)", "is y = exp(x - top) and the sum of y.")
	y, x, n := pointer("y"), pointer("x"), length("y")
	top := k.scalar("top")
	s := k.sums(2)
	k.loop("", n, 2, func(p *at) {
		e := k.exp(k.sub(p.load(x), top))
		VADDPS(p.keep(e), s[p.u], s[p.u])
		p.store(e, y)
	})
	k.result("s", k.fold(s, VADDPS))
	k.done()

	k.function("softmaxBack", "(prob, ds, lse, delta []float32, width, stride int, slope, scale float32)",
		"is the gradient through rows of a softmax: see its portable form.")
	prob, ds := pointer("prob"), pointer("ds")
	lse, delta, rows := pointer("lse"), pointer("delta"), length("lse")
	width, stride := Load(Param("width"), GP64()), Load(Param("stride"), GP64())
	SHLQ(Imm(2), stride)
	slope, scale := k.scalar("slope"), k.scalar("scale")
	k.each(rows, func() {
		l, d := k.vec(), k.vec()
		VBROADCASTSS(Mem{Base: lse}, l)
		VBROADCASTSS(Mem{Base: delta}, d)
		k.loop("back", width, 2, func(p *at) {
			v := p.load(prob)
			VFMSUB213PS(l, slope, v)
			e := k.exp2(v)
			p.store(e, prob)
			p.store(k.mul(k.mul(k.sub(p.load(ds), d), scale), e), ds)
		})
		ADDQ(stride, prob)
		ADDQ(stride, ds)
		ADDQ(Imm(4), lse)
		ADDQ(Imm(4), delta)
	})
	k.done()

	k.function("softmaxRows", "(score, o, state []float32, width, stride, vo int)",
		"takes rows of scores into an online softmax: see its portable form.")
	row, o, state, rows := pointer("score"), pointer("o"), pointer("state"), length("state")
	SHRQ(Imm(1), rows)
	width, stride = Load(Param("width"), GP64()), Load(Param("stride"), GP64())
	vo := Load(Param("vo"), GP64())
	SHLQ(Imm(2), stride)
	k.each(rows, func() {
		m := k.lowest(4)
		k.loop("max", width, 4, func(p *at) { k.top(p, row, m[p.u]) })
		peak := k.fold(m, VMAXPS)
		old := XMM()
		VMOVSS(Mem{Base: state}, old)
		VMAXSS(old, peak.AsX(), peak.AsX())
		VMOVSS(peak.AsX(), Mem{Base: state})
		top := k.vec()
		VBROADCASTSS(peak.AsX(), top)
		s := k.sums(2)
		k.loop("exp", width, 2, func(p *at) {
			e := k.exp2(k.sub(p.load(row), top))
			VADDPS(p.keep(e), s[p.u], s[p.u])
			if k.wide {
				p.store(e, row)
			} else { // AVX2 takes long to store a part of a vector
				VMOVUPS(e, p.mem(row))
			}
		})
		sum := k.fold(s, VADDPS)
		VUCOMISS(old, peak.AsX())
		JEQ(LabelRef("same"))
		f := k.vec()
		VBROADCASTSS(old, f)
		f = k.exp2(k.max(k.constant(poly.Masked), k.sub(f, top)))
		VFMADD231SS(Mem{Base: state, Disp: 4}, f.AsX(), sum.AsX())
		VMOVSS(sum.AsX(), Mem{Base: state, Disp: 4})
		k.loop("scale", vo, 4, func(p *at) { p.store(k.mul(p.load(o), f), o) })
		JMP(LabelRef("next"))
		Label("same")
		VADDSS(Mem{Base: state, Disp: 4}, sum.AsX(), sum.AsX())
		VMOVSS(sum.AsX(), Mem{Base: state, Disp: 4})
		Label("next")
		ADDQ(stride, row)
		LEAQ(Mem{Base: o, Index: vo, Scale: 4}, o)
		ADDQ(Imm(8), state)
	})
	k.done()
}

// softCap writes the soft cap of scores and logits and its gradient.
func softCap(k *kit) {
	k.function("softCap", "(y, x []float32, slope, c float32)", "is y = c·tanh(slope·x).")
	y, x, n := pointer("y"), pointer("x"), length("y")
	slope, c := k.scalar("slope"), k.scalar("c")
	k.loop("", n, 2, func(p *at) { p.store(k.mul(k.tanh(k.mul(p.load(x), slope)), c), y) })
	k.done()

	k.function("softCapBack", "(dx, dy, y []float32, delta, inv float32)", "is dx = (dy - delta)·(1 - (y·inv)²).")
	dx, dy, y, n := pointer("dx"), pointer("dy"), pointer("y"), length("dx")
	delta, inv := k.scalar("delta"), k.scalar("inv")
	k.loop("", n, 4, func(p *at) {
		t := k.mul(p.load(y), inv)
		d := k.sub(p.load(dy), delta)
		k.subMulInto(d, k.mul(d, t), t)
		p.store(d, dx)
	})
	k.done()
}

// each runs body n times.
func (k *kit) each(n GPVirtual, body func()) {
	TESTQ(n, n)
	JZ(LabelRef("none"))
	Label("each")
	body()
	DECQ(n)
	JNZ(LabelRef("each"))
	Label("none")
}

func (k *kit) lowest(n int) sums {
	m := make(sums, n)
	for i := range m {
		m[i] = k.constant(math.Inf(-1))
	}
	return m
}

// top takes a vector of x into a running maximum, the lanes beyond the end not.
func (k *kit) top(p *at, x Register, m VecVirtual) {
	switch {
	case !p.tail:
		VMAXPS(p.mem(x), m, m)
	case k.wide:
		VMAXPS(p.load(x), m, k.mask, m)
	default:
		v := p.load(x)
		VBLENDVPS(k.mask, v, m, v)
		VMAXPS(v, m, m)
	}
}
