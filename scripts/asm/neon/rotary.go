package main

// rotary writes RoPE on adjacent pairs: half as many angles as columns.
func rotary(c *code) {
	for _, inverse := range []bool{false, true} {
		name, doc := "rotate", "is y = x rotated, pair (2j, 2j+1) by the angle of cos[j] and sin[j]."
		if inverse {
			name, doc = "rotateBack", "is rotate by the opposite angles."
		}
		c.function(name, "(y, x, cos, sin []float32)", doc)
		y, x, n := c.pointer("y"), c.pointer("x"), c.length("y")
		cos, sin := c.pointer("cos"), c.pointer("sin")
		turn := func(even, odd, co, si V) (V, V) {
			a, b := c.mul(odd, si), c.mul(even, si)
			if inverse {
				return c.mulAdd(even, co, a), c.sub(c.mul(odd, co), b)
			}
			return c.sub(c.mul(even, co), a), c.mulAdd(odd, co, b)
		}
		forward := func(bytes int, r ...int) {
			for _, r := range r {
				c.raw("ADD $%d, R%d, R%d", bytes, r, r)
			}
		}
		c.raw("SUBS $8, R%d, R%d", n, n)
		c.raw("BLT pairs")
		c.label("eight")
		c.begin()
		lo, hi := c.q(x, 0), c.q(x, 16)
		even, odd := turn(c.op("uzp1", 0x4e801800, lo, hi), c.op("uzp2", 0x4e805800, lo, hi), c.q(cos, 0), c.q(sin, 0))
		c.storeQ(c.op("zip1", 0x4e803800, even, odd), y, 0)
		c.storeQ(c.op("zip2", 0x4e807800, even, odd), y, 16)
		forward(32, x, y)
		forward(16, cos, sin)
		c.raw("SUBS $8, R%d, R%d", n, n)
		c.raw("BGE eight")
		c.end()
		c.label("pairs")
		c.raw("ADDS $8, R%d, R%d", n, n)
		c.raw("BEQ end")
		c.label("pair")
		c.begin()
		even, odd = turn(c.s(x, 0), c.s(x, 4), c.s(cos, 0), c.s(sin, 0))
		c.storeS(even, y, 0)
		c.storeS(odd, y, 4)
		forward(8, x, y)
		forward(4, cos, sin)
		c.raw("SUBS $2, R%d, R%d", n, n)
		c.raw("BGT pair")
		c.end()
		c.label("end")
		c.done()
	}
}

// optimizer writes AdamW. Its constants are in the order of kernel.AdamWStep.
func optimizer(c *code) {
	constants := func() (all [9]V) {
		at := c.number("c")
		for i := range all {
			all[i] = c.every(at)
			c.raw("ADD $4, R%d, R%d", at, at)
		}
		c.give(at)
		return all
	}
	// update is the step of w by moments m and v.
	update := func(k [9]V, m, v, w V) V {
		root := c.mulAdd(c.root(v), k[6], k[7])
		return c.sub(c.mul(w, k[8]), c.div(c.mul(m, k[5]), root))
	}
	c.function("adamw", "(w, g, m, v []float32, c *[9]float32)", "is one step of AdamW.")
	w, g, m, v, n := c.pointer("w"), c.pointer("g"), c.pointer("m"), c.pointer("v"), c.length("w")
	k := constants()
	c.loop("", n, 1, func(p *at) {
		d := c.mul(p.load(g), k[0])
		mv := c.mul(p.load(m), k[1])
		c.addMulInto(mv, d, k[2])
		p.store(mv, m)
		vv := c.mul(p.load(v), k[3])
		c.addMulInto(vv, c.mul(d, k[4]), d)
		p.store(vv, v)
		p.store(update(k, mv, vv, p.load(w)), w)
	})
	c.done()

	c.function("adamw16", "(w, g, mv []float32, c *[9]float32, seed uint32)", "is one step of AdamW with moments of bfloat16.")
	w, g, mv, n := c.pointer("w"), c.pointer("g"), c.pointer("mv"), c.length("w")
	k = constants()
	start := c.gp()
	c.raw("MOVWU seed+%d(FP), R%d", c.arg("seed").at, start)
	c.loop("", n, 1, func(p *at) {
		r := c.new()
		c.word("dup w", 0x4e040c00|uint32(start)<<5, []int{0}, r)
		r = c.intMul(c.intAdd(r, c.q(26, c.lanes([4]uint32{0, 1, 2, 3}))), c.bits(0x9e3779b1))
		r = c.intMul(c.xor(r, c.right(r, 15)), c.bits(0x85ebca77))
		r = c.xor(r, c.right(r, 13))

		d := c.mul(p.load(g), k[0])
		both := p.load(mv)
		m := c.mul(c.and(both, c.bits(0xffff0000)), k[1])
		c.addMulInto(m, d, k[2])
		v := c.mul(c.left(both, 16), k[3])
		c.addMulInto(v, c.mul(d, k[4]), d)
		mBits := c.and(c.intAdd(m, c.and(r, c.bits(0xffff))), c.bits(0xffff0000))
		p.store(c.or(mBits, c.right(c.intAdd(v, c.right(r, 16)), 16)), mv)
		p.store(update(k, m, v, p.load(w)), w)
		step := 4
		if p.tail {
			step = 1
		}
		c.raw("ADD $%d, R%d, R%d", step, start, start)
	})
	c.done()
}
