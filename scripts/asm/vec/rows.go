package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rows writes the plain arithmetic of rows.
func rows(k *kit) {
	k.function("add", "(y, a, b []float32)", "is y = a + b.")
	y, a, b, n := pointer("y"), pointer("a"), pointer("b"), length("y")
	k.loop("", n, 4, func(p *at) { p.store(k.add(p.load(a), p.load(b)), y) })
	k.done()

	k.function("mulAdd", "(y, a, b []float32)", "is y += a·b.")
	y, a, b, n = pointer("y"), pointer("a"), pointer("b"), length("y")
	k.loop("", n, 4, func(p *at) {
		v := p.load(y)
		k.addMulInto(v, p.load(a), p.load(b))
		p.store(v, y)
	})
	k.done()

	k.function("addScaled", "(y, a, b []float32, m float32)", "is y = a + m·b.")
	y, a, b, n = pointer("y"), pointer("a"), pointer("b"), length("y")
	m := k.scalar("m")
	k.loop("", n, 4, func(p *at) {
		v := p.load(a)
		k.addMulInto(v, p.load(b), m)
		p.store(v, y)
	})
	k.done()

	k.function("affine", "(y, x []float32, m, c float32)", "is y = x·m + c.")
	y, x, n := pointer("y"), pointer("x"), length("y")
	m = k.scalar("m")
	c := k.scalar("c")
	k.loop("", n, 4, func(p *at) {
		v := p.load(x)
		k.mulAddInto(v, m, c)
		p.store(v, y)
	})
	k.done()

	k.function("sum", "(x []float32) (s float32)", "is the sum of x.")
	x, n = pointer("x"), length("x")
	s := k.sums(4)
	k.loop("", n, 4, func(p *at) { VADDPS(p.load(x), s[p.u], s[p.u]) })
	k.result("s", k.fold(s, VADDPS))
	k.done()

	k.function("dot", "(x, y []float32) (s float32)", "is the sum of x·y.")
	x, y, n = pointer("x"), pointer("y"), length("x")
	s = k.sums(4)
	k.loop("", n, 4, func(p *at) { k.addMulInto(s[p.u], p.load(x), p.load(y)) })
	k.result("s", k.fold(s, VADDPS))
	k.done()

	k.function("sumSquares", "(x []float32) (s float64)", "is the sum of x², in float64.")
	x, n = pointer("x"), length("x")
	s = k.sums(4)
	k.loop("", n, 2, func(p *at) {
		v := p.load(x)
		lo, hi := k.vec(), k.vec()
		if k.wide {
			VCVTPS2PD(v.AsY(), lo)
			VEXTRACTF64X4(Imm(1), v, hi.AsY())
			VCVTPS2PD(hi.AsY(), hi)
		} else {
			VCVTPS2PD(v.AsX(), lo)
			VEXTRACTF128(Imm(1), v, hi.AsX())
			VCVTPS2PD(hi.AsX(), hi)
		}
		VFMADD231PD(lo, lo, s[2*p.u])
		VFMADD231PD(hi, hi, s[2*p.u+1])
	})
	k.result("s", k.foldDouble(s))
	k.done()
}

// foldDouble is fold for sums of float64.
func (k *kit) foldDouble(s sums) VecVirtual {
	VADDPD(s[2], s[0], s[0])
	VADDPD(s[3], s[1], s[1])
	VADDPD(s[1], s[0], s[0])
	v := s[0]
	if k.wide {
		h := ZMM()
		VEXTRACTF64X4(Imm(1), v, h.AsY())
		VADDPD(h.AsY(), v.AsY(), v.AsY())
	}
	h := YMM()
	VEXTRACTF128(Imm(1), v.AsY(), h.AsX())
	VADDPD(h.AsX(), v.AsX(), v.AsX())
	VPERMILPD(Imm(1), v.AsX(), h.AsX())
	VADDPD(h.AsX(), v.AsX(), v.AsX())
	return v
}
