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
}
