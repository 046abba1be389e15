package main

import "fmt"

// The kernels of kernel.int8.go: eight columns of Q8 are turned, and multiplied by rows.

// int8Turn writes the turning of eight columns of Q8, four values at a time, see
// kernel.int8TurnPortable. Missing columns are the last one once more.
func int8Turn(c *code) {
	const cols = 8
	c.function("int8Turn", "(to []byte, scales []float32, from []byte, cols, stride int)", "turns up to 8 columns of Q8.")
	to, scales, n := c.pointer("to"), c.pointer("scales"), c.length("scales")
	from := []int{c.pointer("from")}
	count, stride := c.number("cols"), c.number("stride")
	c.raw("LSR $3, R%d, R%d", n, n)
	for j := 1; j < cols; j++ {
		p := c.gp()
		c.raw("ADD R%d, R%d, R%d", stride, from[j-1], p)
		c.raw("CMP $%d, R%d", j, count)
		c.raw("CSEL GT, R%d, R%d, R%d", p, from[j-1], p)
		from = append(from, p)
	}
	c.each(n, func() {
		for j, p := range from {
			c.storeS(c.half(p), scales, 4*j)
		}
		for part := range 4 { // four of the columns, half of the block
			first, half := part/2*4, part%2
			var x []V
			for _, p := range from[first : first+4] {
				x = append(x, c.unaligned(p, 2+16*half))
			}
			pairs := []V{c.zip(false, 4, x[0], x[1]), c.zip(true, 4, x[0], x[1]), c.zip(false, 4, x[2], x[3]), c.zip(true, 4, x[2], x[3])}
			for f := range 4 {
				c.storeQ(c.zip(f%2 == 1, 2, pairs[f/2], pairs[f/2+2]), to, 32*(4*half+f)+4*first)
			}
		}
		for _, p := range from {
			c.raw("ADD $34, R%d, R%d", p, p)
		}
		c.raw("ADD $256, R%d, R%d", to, to)
		c.raw("ADD $32, R%d, R%d", scales, scales)
	})
	c.done()
}

// zip puts lanes of x and y side by side, 4 or 2 in a vector: the lower half of each, or the
// upper.
func (c *code) zip(upper bool, lanes int, x, y V) V {
	op := uint32(0x4e803800)
	if lanes == 2 {
		op = 0x4ec03800
	}
	if upper {
		op |= 0x4000
	}
	return c.op("zip", op, x, y)
}

// int8Mul writes the product of up to four rows of signed bytes by eight turned columns, see
// kernel.int8MulPortable: fours of products by SDOT (by element) where the processor has
// it, else by two widening products and two additions of neighbours.
func int8Mul(c *code) {
	for _, dot := range []bool{true, false} {
		name := "int8Dot"
		if !dot {
			name = "int8Mul"
		}
		const most = 4
		s := c.structure(name, "int8Tile", "is int8MulPortable for 8 columns.")
		rows := s.field(int8Rows)
		s.choose(rows, "m", most)
		held := c.free
		for m := 1; m <= most; m++ {
			label := func(what string) string { return fmt.Sprintf("m%d%s", m, what) }
			c.free = held
			s.label(label(""))
			s.begin()
			pa, ps, n := s.field(int8A), s.field(int8Scales), s.field(int8Blocks)
			pb, pd := s.field(int8B), s.field(int8BScales)
			sums := c.zeros(2 * m)
			s.label(label("block"))
			s.begin()
			whole := c.zeros(2 * m)
			for quarter := range 2 {
				var a []V
				for i := range m {
					a = append(a, c.q(pa, 32*i+16*quarter))
				}
				for lane := range 4 {
					for half := range 2 {
						b := c.q(pb, 32*(4*quarter+lane)+16*half)
						for i := range m {
							c.fours(whole[2*i+half], b, a[i], lane, dot)
						}
					}
				}
			}
			scale := []V{c.q(pd, 0), c.q(pd, 16)}
			for i := range m {
				by := c.spread(c.s(ps, 4*i))
				for half, d := range scale {
					c.addInto(sums[2*i+half], c.mul(c.float(whole[2*i+half]), c.mul(d, by)))
				}
			}
			s.forward(256, pb)
			s.forward(32, pd)
			s.forward(32*m, pa)
			s.forward(4*m, ps)
			s.raw("SUBS $1, R%d, R%d", n, n)
			s.raw("BNE %s", label("block"))
			s.end()
			c.free = held
			at := []int{s.field(int8C), s.field(int8Init), s.field(int8Bias), s.stride(int8CS, 4), s.stride(int8IS, 4)}
			finish(s, label, sums, 2, at)
			s.end()
		}
		c.finish()
	}
}

// fours adds to acc the sums of four products each, of b's bytes and the four bytes of a's lane.
func (c *code) fours(acc, b, a V, lane int, dot bool) {
	if dot {
		c.word("sdot by lane", 0x4f80e000|uint32(lane&1)<<21|uint32(lane>>1)<<11, []int{0, 5, 16}, acc, b, a)
		return
	}
	x := c.one("dup", 0x4e040400|uint32(lane)<<19, a)
	lo, hi := c.op("smull", 0x0e20c000, b, x), c.op("smull2", 0x4e20c000, b, x)
	c.three("add", 0x4ea08400, acc, acc, c.one("saddlp", 0x4e602800, c.op("addp 8h", 0x4e60bc00, lo, hi)))
}
