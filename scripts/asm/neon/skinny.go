package main

import "fmt"

// skinnyB is a type of B: its bytes, the field of kernel.tile that has it, and loads of
// four values and of one.
type skinnyB struct {
	name     string
	size, at int
	vec, one func(base, off int) V
}

// skinny writes the products of up to four rows, of which B is read as it lies, float32 or
// bfloat16 that it widens.
func skinny(c *code) {
	for _, b := range []skinnyB{
		{"", 4, tileB, c.q, c.s},
		{"Mixed", 2, tileBits16, func(base, off int) V { return c.widened(c.d(base, off)) }, func(base, off int) V { return c.widened(c.h(base, off)) }},
	} {
		skinnyDot(c, b)
		skinnyRows(c, b)
	}
}

// skinnyDot multiplies rows of A by strips of four rows of B, a vector of inner values at a
// time; with cols 1 only the first sum counts.
func skinnyDot(c *code, kind skinnyB) {
	size := kind.size
	s := c.structure("skinnyDot"+kind.name, "tile", "multiplies up to 4 rows of A by strips of four rows of B, or one.")
	out, init, bias := s.field(tileC), s.field(tileInit), s.field(tileBias)
	b, bs, left, rows := s.field(kind.at), s.stride(tileBS, size), s.field(tileAll), s.field(tileRows)
	s.choose(rows, "m", 4)
	held := c.free
	for m := 1; m <= 4; m++ {
		label := func(what string) string { return fmt.Sprintf("m%d%s", m, what) }
		c.free = held
		s.label(label(""))
		s.begin()
		a, as, k := s.field(tileA), s.stride(tileAS, 4), s.field(tileK)
		pa := s.rowsAt(a, as, m)
		pb := []int{c.gp()}
		s.raw("MOVD R%d, R%d", b, pb[0])
		pb = s.rowsAt(pb[0], bs, 4)
		s.raw("ADD R%d, R%d, R%d", bs, pb[3], b) // the next strip
		acc := c.zeros(4 * m)
		inner(s, label, k, func(unroll int) {
			load, x := kind.vec, c.q
			if unroll == 1 {
				load, x = kind.one, c.s
			}
			var row []V
			for _, p := range pa {
				row = append(row, x(p, 0))
			}
			for j, p := range pb {
				y := load(p, 0)
				for i := range row {
					c.addMulInto(acc[4*i+j], row[i], y)
				}
			}
			s.forward(4*unroll, pa...)
			s.forward(size*unroll, pb...)
		})
		c.free = held
		cols, cs, is := s.field(tileCols), s.stride(tileCS, 4), s.stride(tileIS, 4)
		pc, pi := c.gp(), c.gp()
		sums := make([]V, m)
		for i := range sums {
			sums[i] = c.sumFour(acc[4*i:])
		}
		s.raw("MOVD R%d, R%d", out, pc)
		s.raw("MOVD R%d, R%d", init, pi)
		s.raw("CMP $1, R%d", cols)
		s.raw("BEQ %s", label("single"))
		for _, part := range []struct {
			tag  string
			load func(base, off int) V
			save func(v V, base, off int)
		}{{"four", c.q, c.storeQ}, {"single", c.s, c.storeS}} {
			s.label(label(part.tag))
			s.raw("CBZ R%d, %s", init, label(part.tag+"bias"))
			for _, v := range sums {
				s.addInto(v, part.load(pi, 0))
				s.raw("ADD R%d, R%d, R%d", is, pi, pi)
			}
			s.label(label(part.tag + "bias"))
			s.raw("CBZ R%d, %s", bias, label(part.tag+"store"))
			x := part.load(bias, 0)
			for _, v := range sums {
				s.addInto(v, x)
			}
			s.label(label(part.tag + "store"))
			for _, v := range sums {
				part.save(v, pc, 0)
				s.raw("ADD R%d, R%d, R%d", cs, pc, pc)
			}
			if part.tag == "single" {
				s.raw("RET")
				continue
			}
			s.raw("SUBS $4, R%d, R%d", left, left)
			s.raw("BLE %s", label("end"))
			s.forward(16, out)
			s.raw("CBZ R%d, %s", init, label("noinit"))
			s.forward(16, init)
			s.label(label("noinit"))
			s.raw("CBZ R%d, %s", bias, label(""))
			s.forward(16, bias)
			s.raw("B %s", label(""))
			s.label(label("end"))
			s.raw("RET")
		}
		s.end()
	}
	c.finish()
}

// skinnyVecs is, by rows less one, how many vectors of columns a strip has.
var skinnyVecs = []int{8, 8, 6, 6}

// skinnyRows multiplies rows of A by a strip of columns of B, or by four of them.
func skinnyRows(c *code, kind skinnyB) {
	size := kind.size
	s := c.structure("skinnyRows"+kind.name, "tile", "multiplies up to 4 rows of A by a whole strip of columns of B, or by 4.")
	out, init, bias := s.field(tileC), s.field(tileInit), s.field(tileBias)
	a, as, b, bs := s.field(tileA), s.stride(tileAS, 4), s.field(kind.at), s.stride(tileBS, size)
	k, cs, is := s.field(tileK), s.stride(tileCS, 4), s.stride(tileIS, 4)
	rows, cols := s.field(tileRows), s.field(tileCols)
	s.raw("CMP $4, R%d", cols)
	s.raw("BEQ four")
	held := c.free
	for _, wide := range []bool{true, false} {
		form := "wide"
		if !wide {
			form = "four"
			s.label(form)
		}
		s.choose(rows, form, 4)
		for m := 1; m <= 4; m++ {
			label := func(what string) string { return fmt.Sprintf("%s%d%s", form, m, what) }
			n := 1
			if wide {
				n = skinnyVecs[m-1]
			}
			c.free = held
			s.label(label(""))
			acc, pa := c.zeros(m*n), s.rowsAt(a, as, m)
			s.raw("CBZ R%d, %s", k, label("sum"))
			s.label(label("loop"))
			s.begin()
			var x []V
			for _, p := range pa {
				x = append(x, c.every(p))
			}
			for v := range n {
				y := kind.vec(b, 4*size*v)
				for i := range x {
					c.addMulInto(acc[i*n+v], y, x[i])
				}
			}
			s.forward(4, pa...)
			s.raw("ADD R%d, R%d, R%d", bs, b, b)
			s.raw("SUBS $1, R%d, R%d", k, k)
			s.raw("BNE %s", label("loop"))
			s.end()
			s.label(label("sum"))
			finish(s, label, acc, n, []int{out, init, bias, cs, is})
		}
	}
	c.finish()
}
