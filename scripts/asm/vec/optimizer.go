package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// optimizer writes AdamW. Its constants are in the order of
// kernel.AdamWStep.
func optimizer(k *kit) {
	k.function("adamw", "(w, g, m, v []float32, c *[9]float32)", "is one step of AdamW.")
	w, g, m, v, n := pointer("w"), pointer("g"), pointer("m"), pointer("v"), length("w")
	c := Load(Param("c"), GP64())
	var consts [8]VecVirtual
	for i := range consts {
		consts[i] = k.vec()
		VBROADCASTSS(Mem{Base: c, Disp: 4 * i}, consts[i])
	}
	scale, b1, c1, b2, c2, rate, root, eps := consts[0], consts[1], consts[2], consts[3], consts[4], consts[5], consts[6], consts[7]
	k.loop("", n, 1, func(p *at) {
		d := k.mul(p.load(g), scale)
		mv := k.mul(p.load(m), b1)
		k.addMulInto(mv, d, c1)
		p.store(mv, m)
		vv := k.mul(p.load(v), b2)
		k.addMulInto(vv, k.mul(d, c2), d)
		p.store(vv, v)
		r := k.vec()
		VSQRTPS(vv, r)
		k.mulAddInto(r, root, eps)
		step := k.div(k.mul(mv, rate), r)
		keep := k.vec()
		VBROADCASTSS(Mem{Base: c, Disp: 32}, keep)
		wv := p.load(w)
		VFMSUB213PS(step, keep, wv)
		p.store(wv, w)
	})
	k.done()
	optimizer16(k)
}

// optimizer16 writes AdamW with both moments in one word, see
// kernel.adamw16Row.
func optimizer16(k *kit) {
	k.function("adamw16", "(w, g, mv []float32, c *[9]float32, seed uint32)", "is one step of AdamW with moments of bfloat16.")
	w, g, mv, n := pointer("w"), pointer("g"), pointer("mv"), length("w")
	c := Load(Param("c"), GP64())
	seed := k.vec()
	start := GP32()
	Load(Param("seed"), start)
	k.broadcast(start, seed)
	VPADDD(k.iota(), seed, seed)
	constant := func(i int) VecVirtual {
		v := k.vec()
		VBROADCASTSS(Mem{Base: c, Disp: 4 * i}, v)
		return v
	}
	k.loop("", n, 1, func(p *at) {
		r := k.vec()
		k.broadcast(p.index.(GPVirtual).As32(), r)
		k.into(intAdd, seed, r, r)
		k.into(intMul, k.bits(0x9e3779b1), r, r)
		k.shiftXor(r, 15)
		k.into(intMul, k.bits(0x85ebca77), r, r)
		k.shiftXor(r, 13)

		d := k.mul(p.load(g), constant(0))
		both := p.load(mv)
		m := k.mul(k.and(both, 0xffff0000), constant(1))
		k.addMulInto(m, d, constant(2))
		v := k.vec()
		VPSLLD(Imm(16), both, v)
		v = k.mul(v, constant(3))
		k.addMulInto(v, k.mul(d, constant(4)), d)

		mBits := k.binary(intAdd, m, k.and(r, 0xffff))
		VPSRLD(Imm(16), r, r)
		vBits := k.binary(intAdd, v, r)
		VPSRLD(Imm(16), vBits, vBits)
		out := k.and(mBits, 0xffff0000)
		k.orInto(out, vBits)
		p.store(out, mv)

		root := k.vec()
		VSQRTPS(v, root)
		k.mulAddInto(root, constant(6), constant(7))
		step := k.div(k.mul(m, constant(5)), root)
		wv := p.load(w)
		VFMSUB213PS(step, constant(8), wv)
		p.store(wv, w)
	})
	k.done()
}
