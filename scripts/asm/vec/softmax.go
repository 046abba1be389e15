package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
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

	k.function("softmaxBack", "(prob, ds []float32, scale, lse, d float32)",
		"is prob = exp(prob·scale - lse) and then ds = (ds - d)·prob·scale.")
	prob, ds, n := pointer("prob"), pointer("ds"), length("prob")
	scale, lse, d := k.scalar("scale"), k.scalar("lse"), k.scalar("d")
	k.loop("", n, 2, func(p *at) {
		v := p.load(prob)
		VFMSUB213PS(lse, scale, v)
		e := k.exp(v)
		p.store(e, prob)
		p.store(k.mul(k.mul(k.sub(p.load(ds), d), scale), e), ds)
	})
	k.done()

	k.function("softmaxStep", "(row, o []float32, state *[2]float32)",
		"takes a row of scores into an online softmax: see its portable form.")
	row, o, n := pointer("row"), pointer("o"), length("row")
	state := Load(Param("state"), GP64())
	m = k.lowest(4)
	k.loop("max", n, 4, func(p *at) { k.top(p, row, m[p.u]) })
	peak := k.fold(m, VMAXPS)
	old := XMM()
	VMOVSS(Mem{Base: state}, old)
	VMAXSS(old, peak.AsX(), peak.AsX())
	VMOVSS(peak.AsX(), Mem{Base: state})
	top = k.vec()
	VBROADCASTSS(peak.AsX(), top)
	s = k.sums(2)
	k.loop("exp", n, 2, func(p *at) {
		e := k.exp(k.sub(p.load(row), top))
		VADDPS(p.keep(e), s[p.u], s[p.u])
		p.store(e, row)
	})
	sum := k.fold(s, VADDPS)
	VUCOMISS(old, peak.AsX())
	JEQ(LabelRef("same"))
	before := k.vec()
	VBROADCASTSS(old, before)
	f := k.exp(k.sub(before, top))
	VFMADD231SS(Mem{Base: state, Disp: 4}, f.AsX(), sum.AsX())
	VMOVSS(sum.AsX(), Mem{Base: state, Disp: 4})
	on := length("o")
	k.loop("scale", on, 4, func(p *at) { p.store(k.mul(p.load(o), f), o) })
	k.done()
	Label("same")
	VADDSS(Mem{Base: state, Disp: 4}, sum.AsX(), sum.AsX())
	VMOVSS(sum.AsX(), Mem{Base: state, Disp: 4})
	k.done()
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
