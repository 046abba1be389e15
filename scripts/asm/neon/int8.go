package main

import "fmt"

// int8Dot writes the product of rows of signed bytes, see kernel.int8DotPortable: sums of
// four products by SDOT where the processor has it, else by two widening products and two
// additions of neighbours.
func int8Dot(c *code) {
	for _, dot := range []bool{true, false} {
		name := "int8Dot"
		if !dot {
			name = "int8Mul"
		}
		const most = 8
		s := c.structure(name, "int8Tile", "is int8DotPortable.")
		b, out, init, bias, cols := s.field(int8B), s.field(int8C), s.field(int8Init), s.field(int8Bias), s.field(int8Cols)
		rows := s.field(int8Rows)
		fours := func(x, y V) V { // the sums of four products each, as float32
			if dot {
				v := c.zero()
				c.three("sdot", 0x4e809400, v, x, y)
				return c.float(v)
			}
			lo, hi := c.op("smull", 0x0e20c000, x, y), c.op("smull2", 0x4e20c000, x, y)
			return c.float(c.one("saddlp", 0x4e602800, c.op("addp 8h", 0x4e60bc00, lo, hi)))
		}
		s.choose(rows, "m", most)
		held := c.free
		for m := 1; m <= most; m++ {
			label := func(what string) string { return fmt.Sprintf("m%d%s", m, what) }
			c.free = held
			s.label(label(""))
			s.begin()
			pa, ps, n, pb := s.field(int8A), s.field(int8Scales), s.field(int8Blocks), c.gp()
			s.raw("MOVD R%d, R%d", b, pb)
			acc := c.zeros(2 * m)
			s.label(label("block"))
			s.begin()
			w, scale := []V{c.unaligned(pb, 2), c.unaligned(pb, 18)}, c.half(pb)
			for i := range m {
				f := c.mul(c.spread(c.s(ps, 4*i)), scale)
				for h := range w {
					c.addInto(acc[2*i+h], c.mul(fours(c.q(pa, 32*i+16*h), w[h]), f))
				}
			}
			s.forward(34, pb)
			s.forward(32*m, pa)
			s.forward(4*m, ps)
			s.raw("SUBS $1, R%d, R%d", n, n)
			s.raw("BNE %s", label("block"))
			s.end()
			c.free = held
			cs, is, bs, p := s.stride(int8CS, 4), s.stride(int8IS, 4), s.field(int8BS), c.gp()
			var sums []V
			for i := range m {
				sums = append(sums, c.ends(c.add(acc[2*i], acc[2*i+1])))
			}
			s.raw("CBZ R%d, %s", init, label("bias"))
			s.raw("MOVD R%d, R%d", init, p)
			for _, v := range sums {
				s.addInto(v, c.s(p, 0))
				s.raw("ADD R%d, R%d, R%d", is, p, p)
			}
			s.forward(4, init)
			s.label(label("bias"))
			s.raw("CBZ R%d, %s", bias, label("store"))
			x := c.s(bias, 0)
			for _, v := range sums {
				s.addInto(v, x)
			}
			s.forward(4, bias)
			s.label(label("store"))
			s.raw("MOVD R%d, R%d", out, p)
			for _, v := range sums {
				c.storeS(v, p, 0)
				s.raw("ADD R%d, R%d, R%d", cs, p, p)
			}
			s.forward(4, out)
			s.raw("ADD R%d, R%d, R%d", bs, b, b)
			s.raw("SUBS $1, R%d, R%d", cols, cols)
			s.raw("BNE %s", label(""))
			s.end()
			s.raw("RET")
		}
		c.finish()
	}
}

// ends is (x0 + x2) + (x1 + x3) in lane 0.
func (c *code) ends(x V) V {
	v := c.add(x, c.op("ext #8", 0x6e004000, x, x))
	return c.pairs(v, v)
}
