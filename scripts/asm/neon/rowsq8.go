package main

import "fmt"

// Further fields of kernel.tile, and the bits of its part: sums go on from where they were
// left, and are left there again.
const (
	tileQ8, tileSums, tileSumsStride, tilePart = 208, 232, 256, 264
	partGoesOnBit, partIsLeftBit               = 0, 1
)

// rowsQ8 writes the product of up to six rows of float32 by 32 columns of Q8, which are
// widened in registers, see kernel.rowsQ8Portable.
func rowsQ8(c *code) {
	const most = 6
	s := c.structure("rowsQ8", "tile", fmt.Sprintf("multiplies up to %d rows by 32 columns of Q8.", most))
	rows, bs, as := s.field(tileRows), s.field(tileBS), s.stride(tileAS, 4)
	s.choose(rows, "m", most)
	held := c.free
	for m := 1; m <= most; m++ {
		vecs := 8
		if m > 3 {
			vecs = 4 // half of the block, and then the other
		}
		s.label(fmt.Sprintf("m%d", m))
		for half := 0; half < 8; half += vecs {
			label := func(what string) string { return fmt.Sprintf("m%dh%d%s", m, half, what) }
			c.free = held
			acc := c.zeros(m * vecs)
			// each visits the sums where they lie in memory.
			each := func(at, stride int, f func(v V, p, off int)) {
				p, ps := s.field(at), s.stride(stride, 4)
				for i := range acc {
					f(acc[i], p, 16*(half+i%vecs))
					if i%vecs == vecs-1 {
						s.raw("ADD R%d, R%d, R%d", ps, p, p)
					}
				}
				c.give(p, ps)
			}
			load := func(v V, p, off int) { c.memory(loadQ, v, p, off) }
			save := func(v V, p, off int) { c.storeQ(v, p, off) }
			add := func(v V, p, off int) { c.addInto(v, c.q(p, off)) }
			part := s.field(tilePart)
			s.raw("TBZ $%d, R%d, %s", partGoesOnBit, part, label("begin"))
			each(tileSums, tileSumsStride, load)
			s.label(label("begin"))
			a, b, k := s.field(tileA), s.field(tileQ8), s.field(tileK)
			pa := s.rowsAt(a, as, m)
			s.label(label("loop"))
			s.begin()
			d := c.half(b)
			for v := 0; v < vecs; v += 2 {
				raw := c.new()
				c.word(fmt.Sprintf("ldur d [R%d, #%d]", b, 2+4*(half+v)), 0xfc400000|uint32(2+4*(half+v))<<12|uint32(b)<<5, []int{0}, raw)
				h := c.one("sxtl 8h", 0x0f08a400, raw)
				x := []V{c.mul(c.float(c.one("sxtl", 0x0f10a400, h)), d), c.mul(c.float(c.one("sxtl2", 0x4f10a400, h)), d)}
				for i, p := range pa {
					from := c.every(p)
					for u := range x {
						c.addMulInto(acc[i*vecs+v+u], x[u], from)
					}
				}
			}
			s.forward(4, pa...)
			s.raw("ADD R%d, R%d, R%d", bs, b, b)
			s.raw("SUBS $1, R%d, R%d", k, k)
			s.raw("BNE %s", label("loop"))
			s.end()
			c.give(append([]int{b, k}, pa...)...)
			s.raw("TBZ $%d, R%d, %s", partIsLeftBit, part, label("sum"))
			each(tileSums, tileSumsStride, save)
			s.raw("B %s", label("end"))
			s.label(label("sum"))
			p := s.field(tileInit)
			s.raw("CBZ R%d, %s", p, label("bias"))
			each(tileInit, tileIS, add)
			s.label(label("bias"))
			s.raw("MOVD %d(R%d), R%d", tileBias, s.t, p)
			s.raw("CBZ R%d, %s", p, label("store"))
			for i := range acc {
				c.addInto(acc[i], c.q(p, 16*(half+i%vecs)))
			}
			s.label(label("store"))
			each(tileC, tileCS, save)
			s.label(label("end"))
		}
		s.raw("RET")
	}
	c.finish()
}
