package main

// rows writes the plain arithmetic of rows.
func rows(c *code) {
	c.function("add", "(y, a, b []float32)", "is y = a + b.")
	y, a, b, n := c.pointer("y"), c.pointer("a"), c.pointer("b"), c.length("y")
	c.loop("", n, 4, func(p *at) { p.store(c.add(p.load(a), p.load(b)), y) })
	c.done()

	c.function("mulAdd", "(y, a, b []float32)", "is y += a·b.")
	y, a, b, n = c.pointer("y"), c.pointer("a"), c.pointer("b"), c.length("y")
	c.loop("", n, 4, func(p *at) {
		v := p.load(y)
		c.addMulInto(v, p.load(a), p.load(b))
		p.store(v, y)
	})
	c.done()

	c.function("addScaled", "(y, a, b []float32, m float32)", "is y = a + m·b.")
	y, a, b, n = c.pointer("y"), c.pointer("a"), c.pointer("b"), c.length("y")
	m := c.scalar("m")
	c.loop("", n, 4, func(p *at) {
		v := p.load(a)
		c.addMulInto(v, p.load(b), m)
		p.store(v, y)
	})
	c.done()

	c.function("affine", "(y, x []float32, m, c float32)", "is y = x·m + c.")
	y, x, n := c.pointer("y"), c.pointer("x"), c.length("y")
	m = c.scalar("m")
	plus := c.scalar("c")
	c.loop("", n, 4, func(p *at) { p.store(c.mulAdd(p.load(x), m, plus), y) })
	c.done()

	c.function("sum", "(x []float32) (s float32)", "is the sum of x.")
	x, n = c.pointer("x"), c.length("x")
	s := c.zeros(4)
	c.loop("", n, 4, func(p *at) { c.addInto(s[p.u], p.load(x)) })
	c.result("s", c.fold(s))
	c.done()

	c.function("dot", "(x, y []float32) (s float32)", "is the sum of x·y.")
	x, y, n = c.pointer("x"), c.pointer("y"), c.length("x")
	s = c.zeros(4)
	c.loop("", n, 4, func(p *at) { c.addMulInto(s[p.u], p.load(x), p.load(y)) })
	c.result("s", c.fold(s))
	c.done()

	c.function("sumSquares", "(x []float32) (s float64)", "is the sum of x², in float64.")
	x, n = c.pointer("x"), c.length("x")
	s = c.zeros(4)
	c.loop("", n, 2, func(p *at) {
		v := p.load(x)
		lo, hi := c.one("fcvtl", 0x0e617800, v), c.one("fcvtl2", 0x4e617800, v)
		c.three("fmla 2d", 0x4e60cc00, s[2*p.u], lo, lo)
		c.three("fmla 2d", 0x4e60cc00, s[2*p.u+1], hi, hi)
	})
	for _, i := range [][2]int{{0, 2}, {1, 3}, {0, 1}} {
		c.three("fadd 2d", 0x4e60d400, s[i[0]], s[i[0]], s[i[1]])
	}
	c.result("s", c.one("faddp d", 0x7e70d800, s[0]))
	c.done()
}

// norms writes the inner loops of LayerNorm and RMSNorm (which has mean 0).
func norms(c *code) {
	c.function("deviation", "(x []float32, mean float32) (s float32)", "is the sum of (x - mean)².")
	x, n := c.pointer("x"), c.length("x")
	mean := c.scalar("mean")
	s := c.zeros(4)
	c.loop("", n, 4, func(p *at) {
		d := p.keep(c.sub(p.load(x), mean))
		c.addMulInto(s[p.u], d, d)
	})
	c.result("s", c.fold(s))
	c.done()

	c.function("normalize", "(y, x, gain []float32, mean, rstd float32)", "is y = (x - mean)·rstd·gain.")
	y, x, gain, n := c.pointer("y"), c.pointer("x"), c.pointer("gain"), c.length("y")
	mean = c.scalar("mean")
	rstd := c.scalar("rstd")
	c.loop("", n, 4, func(p *at) {
		p.store(c.mul(c.mul(c.sub(p.load(x), mean), rstd), p.load(gain)), y)
	})
	c.done()

	c.function("normSums", "(dy, x, gain []float32, mean, rstd float32) (sg, sgh float32)",
		"is the sums of g = dy·gain and of g·(x - mean)·rstd.")
	dy, x, gain, n := c.pointer("dy"), c.pointer("x"), c.pointer("gain"), c.length("dy")
	mean, rstd = c.scalar("mean"), c.scalar("rstd")
	sg, sgh := c.zeros(2), c.zeros(2)
	c.loop("", n, 2, func(p *at) {
		g := c.mul(p.load(dy), p.load(gain))
		c.addInto(sg[p.u], g)
		c.addMulInto(sgh[p.u], g, c.mul(c.sub(p.load(x), mean), rstd))
	})
	c.result("sg", c.fold(sg))
	c.result("sgh", c.fold(sgh))
	c.done()

	c.function("normBack", "(dx, dy, x, gain []float32, mean, rstd, ag, agh float32)",
		"is dx = rstd·(dy·gain - ag - (x - mean)·rstd·agh).")
	dx, dy, x, gain, n := c.pointer("dx"), c.pointer("dy"), c.pointer("x"), c.pointer("gain"), c.length("dx")
	mean, rstd = c.scalar("mean"), c.scalar("rstd")
	ag, agh := c.scalar("ag"), c.scalar("agh")
	c.loop("", n, 4, func(p *at) {
		g := c.sub(c.mul(p.load(dy), p.load(gain)), ag)
		c.subMulInto(g, c.mul(c.sub(p.load(x), mean), rstd), agh)
		p.store(c.mul(g, rstd), dx)
	})
	c.done()

	c.function("normGrad", "(dgain, dy, x []float32, mean, rstd float32)", "is dgain += dy·(x - mean)·rstd.")
	dgain, dy, x, n := c.pointer("dgain"), c.pointer("dy"), c.pointer("x"), c.length("dgain")
	mean, rstd = c.scalar("mean"), c.scalar("rstd")
	c.loop("", n, 4, func(p *at) {
		d := p.load(dgain)
		c.addMulInto(d, c.mul(c.sub(p.load(x), mean), rstd), p.load(dy))
		p.store(d, dgain)
	})
	c.done()
}
