package main

import . "github.com/mmcloughlin/avo/build"

// norms writes the inner loops of LayerNorm and RMSNorm (which has mean 0).
func norms(k *kit) {
	k.function("deviation", "(x []float32, mean float32) (s float32)", "is the sum of (x - mean)².")
	x, n := pointer("x"), length("x")
	mean := k.scalar("mean")
	s := k.sums(4)
	k.loop("", n, 4, func(p *at) {
		d := p.keep(k.sub(p.load(x), mean))
		k.addMulInto(s[p.u], d, d)
	})
	k.result("s", k.fold(s, VADDPS))
	k.done()

	k.function("normalize", "(y, x, gain []float32, mean, rstd float32)", "is y = (x - mean)·rstd·gain.")
	y, x, gain, n := pointer("y"), pointer("x"), pointer("gain"), length("y")
	mean = k.scalar("mean")
	rstd := k.scalar("rstd")
	k.loop("", n, 4, func(p *at) {
		p.store(k.mul(k.mul(k.sub(p.load(x), mean), rstd), p.load(gain)), y)
	})
	k.done()

	k.function("normSums", "(dy, x, gain []float32, mean, rstd float32) (sg, sgh float32)",
		"is the sums of g = dy·gain and of g·(x - mean)·rstd.")
	dy, x, gain, n := pointer("dy"), pointer("x"), pointer("gain"), length("dy")
	mean, rstd = k.scalar("mean"), k.scalar("rstd")
	sg, sgh := k.sums(2), k.sums(2)
	k.loop("", n, 2, func(p *at) {
		g := k.mul(p.load(dy), p.load(gain))
		VADDPS(g, sg[p.u], sg[p.u])
		k.addMulInto(sgh[p.u], g, k.mul(k.sub(p.load(x), mean), rstd))
	})
	k.result("sg", k.fold(sg, VADDPS))
	k.result("sgh", k.fold(sgh, VADDPS))
	k.done()

	k.function("normBack", "(dx, dy, x, gain []float32, mean, rstd, ag, agh float32)",
		"is dx = rstd·(dy·gain - ag - (x - mean)·rstd·agh).")
	dx, dy, x, gain, n := pointer("dx"), pointer("dy"), pointer("x"), pointer("gain"), length("dx")
	mean, rstd = k.scalar("mean"), k.scalar("rstd")
	ag, agh := k.scalar("ag"), k.scalar("agh")
	k.loop("", n, 4, func(p *at) {
		g := k.sub(k.mul(p.load(dy), p.load(gain)), ag)
		k.subMulInto(g, k.mul(k.sub(p.load(x), mean), rstd), agh)
		p.store(k.mul(g, rstd), dx)
	})
	k.done()

	k.function("normGrad", "(dgain, dy, x []float32, mean, rstd float32)", "is dgain += dy·(x - mean)·rstd.")
	dgain, dy, x, n := pointer("dgain"), pointer("dy"), pointer("x"), length("dgain")
	mean, rstd = k.scalar("mean"), k.scalar("rstd")
	k.loop("", n, 4, func(p *at) {
		d := p.load(dgain)
		k.addMulInto(d, k.mul(k.sub(p.load(x), mean), rstd), p.load(dy))
		p.store(d, dgain)
	})
	k.done()
}
