package main

import "fmt"

// bf16 writes the conversions between float32 and bfloat16, and those of Q8.
func bf16(c *code) {
	c.function("round", "(x []float32)", "rounds x to bfloat16 in place.")
	x := c.pointer("x")
	c.loop("", c.length("x"), 2, func(p *at) { p.store(c.rounded(p.load(x)), x) })
	c.done()

	c.function("toBF16", "(dst []uint16, src []float32)", "rounds src, groups of 16 values, to bfloat16.")
	dst, src, n := c.pointer("dst"), c.pointer("src"), c.length("src")
	c.raw("LSR $3, R%d, R%d", n, n)
	c.each(n, func() {
		v := c.op("uzp2 8h", 0x4e405800, c.rounded(c.q(src, 0)), c.rounded(c.q(src, 16)))
		c.storeQ(v, dst, 0)
		c.raw("ADD $32, R%d, R%d", src, src)
		c.raw("ADD $16, R%d, R%d", dst, dst)
	})
	c.done()

	c.function("fromBF16", "(dst []float32, src []uint16)", "widens src to dst, groups of 16 values.")
	dst, src, n = c.pointer("dst"), c.pointer("src"), c.length("dst")
	c.raw("LSR $3, R%d, R%d", n, n)
	c.each(n, func() {
		v := c.q(src, 0)
		c.storeQ(c.widened(v), dst, 0)
		c.storeQ(c.one("shll2 #16", 0x6e613800, v), dst, 16)
		c.raw("ADD $16, R%d, R%d", src, src)
		c.raw("ADD $32, R%d, R%d", dst, dst)
	})
	c.done()
}

// widened is the first four bfloat16 of x as float32.
func (c *code) widened(x V) V { return c.one("shll #16", 0x2e613800, x) }

// rounded is the bfloat16 next to each value of x, ties to even; NaN stays NaN.
func (c *code) rounded(x V) V {
	odd := c.and(c.right(x, 16), c.bits(1))
	up := c.intAdd(x, c.intAdd(odd, c.bits(0x7fff)))
	number := c.op("fcmeq", 0x4e20e400, x, x)
	return c.and(c.pick(number, up, c.or(x, c.bits(0x400000))), c.bits(0xffff0000))
}

// unaligned loads a vector from an offset that is no multiple of 16.
func (c *code) unaligned(base, off int) V {
	v := c.new()
	c.word(fmt.Sprintf("ldur q [R%d, #%d]", base, off), 0x3cc00000|uint32(off)<<12|uint32(base)<<5, []int{0}, v)
	return v
}

// half is the number of half precision at base, in every lane.
func (c *code) half(base int) V { return c.spread(c.one("fcvt s, h", 0x1ee24000, c.h(base, 0))) }

// bytes8 writes the widening of Q8 and the rounding to signed bytes.
func bytes8(c *code) {
	c.function("fromQ8", "(dst []float32, src []byte, rows, blocks, ds, ss int)", "widens rows of whole blocks: see its portable form.")
	dst, src := c.pointer("dst"), c.pointer("src")
	count, blocks, ds, ss := c.number("rows"), c.number("blocks"), c.bytes("ds"), c.number("ss")
	to, from, n := c.gp(), c.gp(), c.gp()
	c.raw("CBZ R%d, none", blocks)
	c.each(count, func() {
		c.raw("MOVD R%d, R%d", dst, to)
		c.raw("MOVD R%d, R%d", src, from)
		c.raw("MOVD R%d, R%d", blocks, n)
		c.label("block")
		c.begin()
		scale := c.half(from)
		for i := range 2 {
			b := c.unaligned(from, 2+16*i)
			for j, h := range []V{c.one("sxtl 8h", 0x0f08a400, b), c.one("sxtl2 8h", 0x4f08a400, b)} {
				at := 64*i + 32*j
				c.storeQ(c.mul(c.float(c.one("sxtl", 0x0f10a400, h)), scale), to, at)
				c.storeQ(c.mul(c.float(c.one("sxtl2", 0x4f10a400, h)), scale), to, at+16)
			}
		}
		c.raw("ADD $34, R%d, R%d", from, from)
		c.raw("ADD $128, R%d, R%d", to, to)
		c.raw("SUBS $1, R%d, R%d", n, n)
		c.raw("BNE block")
		c.end()
		c.raw("ADD R%d, R%d, R%d", ds, dst, dst)
		c.raw("ADD R%d, R%d, R%d", ss, src, src)
	})
	c.done()

	c.function("toInt8", "(q []byte, scales, x []float32, qs, ss int)", "rounds blocks of values to signed bytes: see its portable form.")
	q, scales, x, blocks := c.pointer("q"), c.pointer("scales"), c.pointer("x"), c.length("x")
	qs, ss, bits, limit := c.number("qs"), c.bytes("ss"), c.gp(), c.gp()
	c.raw("LSR $5, R%d, R%d", blocks, blocks)
	c.each(blocks, func() {
		var v, w [8]V
		for i := range v {
			v[i] = c.q(x, 16*i)
			w[i] = c.abs(v[i])
		}
		for n := 4; n > 0; n /= 2 { // magnitudes as whole numbers: a NaN is above all
			for i := range n {
				c.three("umax", 0x6ea06400, w[i], w[i], w[i+n])
			}
		}
		top := c.one("umaxv", 0x6eb0a800, w[0])
		c.word(fmt.Sprintf("fmov R%d", bits), 0x1e260000|uint32(bits), []int{5}, top)
		c.raw("MOVD $0x7f800000, R%d", limit)
		c.raw("CMP R%d, R%d", limit, bits)
		c.raw("BHS spoilt")
		c.raw("MOVD $0x0d800000, R%d", limit)
		c.raw("CMP R%d, R%d", limit, bits)
		c.raw("BLO small")
		c.storeS(c.div(top, c.f(127)), scales, 0)
		inv := c.div(c.f(127), c.spread(top))
		for i := range 2 {
			var h [2]V
			for j := range h {
				lo, hi := c.whole(c.mul(v[4*i+2*j], inv)), c.whole(c.mul(v[4*i+2*j+1], inv))
				h[j] = c.one("sqxtn 4h", 0x0e614800, lo)
				c.two("sqxtn2 8h", 0x4e614800, h[j], hi)
			}
			b := c.one("sqxtn 8b", 0x0e214800, h[0])
			c.two("sqxtn2 16b", 0x4e214800, b, h[1])
			c.storeQ(b, q, 16*i)
		}
		c.raw("B next")
		c.label("spoilt")
		c.storeS(c.bits(0x7fc00000), scales, 0)
		c.raw("B clear")
		c.label("small")
		c.storeS(c.zero(), scales, 0)
		c.label("clear")
		zero := c.zero()
		c.storeQ(zero, q, 0)
		c.storeQ(zero, q, 16)
		c.label("next")
		c.raw("ADD $128, R%d, R%d", x, x)
		c.raw("ADD R%d, R%d, R%d", qs, q, q)
		c.raw("ADD R%d, R%d, R%d", ss, scales, scales)
	})
	c.done()
}
