package main

import "fmt"

// Offsets of the fields of kernel.tile, kernel.block and kernel.int8Tile, in bytes; tests
// of pkg/kernel hold them.
const (
	tileA, tileB, tileC        = 0, 24, 48
	tileInit, tileBias, tileK  = 72, 96, 120
	tileCS, tileIS             = 128, 136
	tileRows, tileCols         = 144, 152
	tileAS, tileBS, tileBits16 = 160, 168, 176
	tileAll                    = 200

	blockA, blockB, blockC                 = 0, 24, 48
	blockAS, blockAK, blockBS, blockCS     = 72, 80, 88, 96
	blockK, blockRows, blockCols, blockAdd = 104, 112, 120, 128

	int8A, int8Scales, int8B = 0, 24, 48
	int8BScales, int8C       = 72, 96
	int8Init, int8Bias       = 120, 144
	int8Blocks, int8Rows     = 168, 176
	int8CS, int8IS           = 192, 200
)

// structure starts a function of one structure, of which field and stride read fields.
type structure struct {
	*code
	t int
}

func (c *code) structure(name, kind, doc string) structure {
	c.function(name, "(t *"+kind+")", doc)
	return structure{c, c.number("t")}
}

func (s structure) field(at int) int {
	r := s.gp()
	s.raw("MOVD %d(R%d), R%d", at, s.t, r)
	return r
}

// stride is a field that counts values of 1, 2 or 4 bytes, in bytes.
func (s structure) stride(at, size int) int {
	r := s.field(at)
	if shift := size / 2; shift > 0 {
		s.raw("LSL $%d, R%d, R%d", shift, r, r)
	}
	return r
}

// choose jumps to NAMEn for n rows, most down to 2; one row falls through.
func (s structure) choose(rows int, name string, most int) {
	for n := most; n > 1; n-- {
		s.raw("CMP $%d, R%d", n, rows)
		s.raw("BEQ %s%d", name, n)
	}
}

// rowsAt is a pointer for each of n rows that are a stride apart.
func (s structure) rowsAt(base, stride, n int) []int {
	rows := []int{base}
	for len(rows) < n {
		r := s.gp()
		s.raw("ADD R%d, R%d, R%d", stride, rows[len(rows)-1], r)
		rows = append(rows, r)
	}
	return rows
}

func (s structure) forward(bytes int, r ...int) {
	for _, r := range r {
		s.raw("ADD $%d, R%d, R%d", bytes, r, r)
	}
}

const tileHigh, tileWide = 12, 8

// tile writes the 12 x 8 register tile: 24 sums, and for each inner index five loads of
// which every lane of A and both vectors of B are used by FMLA (by element).
func tile(c *code) {
	s := c.structure("tile", "tile", fmt.Sprintf("is a register tile of up to %d rows and exactly %d columns.", tileHigh, tileWide))
	a, b, k, rows := s.field(tileA), s.field(tileB), s.field(tileK), s.field(tileRows)
	out, init, bias := s.field(tileC), s.field(tileInit), s.field(tileBias)
	cs, is := s.stride(tileCS, 4), s.stride(tileIS, 4)
	s.choose(rows, "r", tileHigh)
	for r := 1; r <= tileHigh; r++ {
		label := func(what string) string { return fmt.Sprintf("r%d%s", r, what) }
		s.label(label(""))
		acc := c.zeros(2 * r)
		step := func(u int) {
			var x [3]V
			for i := range (r + 3) / 4 {
				x[i] = c.q(a, 4*tileHigh*u+16*i)
			}
			y := []V{c.q(b, 4*tileWide*u), c.q(b, 4*tileWide*u+16)}
			for i := range r {
				for v := range y {
					c.fmlaLane(acc[2*i+v], y[v], x[i/4], i%4)
				}
			}
		}
		inner(s, label, k, func(unroll int) {
			for u := range unroll {
				step(u)
			}
			s.forward(4*tileHigh*unroll, a)
			s.forward(4*tileWide*unroll, b)
		})
		finish(s, label, acc, 2, []int{out, init, bias, cs, is})
	}
	c.finish()
}

// inner runs body(4) as often as k holds four and body(1) for the rest.
func inner(s structure, label func(string) string, k int, body func(unroll int)) {
	s.raw("SUBS $4, R%d, R%d", k, k)
	s.raw("BLT %s", label("rest"))
	s.code.label(label("loop"))
	s.begin()
	body(4)
	s.raw("SUBS $4, R%d, R%d", k, k)
	s.raw("BGE %s", label("loop"))
	s.end()
	s.code.label(label("rest"))
	s.raw("ADDS $4, R%d, R%d", k, k)
	s.raw("BEQ %s", label("sum"))
	s.code.label(label("one"))
	s.begin()
	body(1)
	s.raw("SUBS $1, R%d, R%d", k, k)
	s.raw("BNE %s", label("one"))
	s.end()
	s.code.label(label("sum"))
}

// finish adds init and bias to rows of vecs vectors of sums, stores them and returns; at
// are the pointers to C, init and bias and the strides of the first two.
func finish(s structure, label func(string) string, acc []V, vecs int, at []int) {
	out, init, bias, cs, is := at[0], at[1], at[2], at[3], at[4]
	s.raw("CBZ R%d, %s", init, label("bias"))
	for i := 0; i < len(acc); i += vecs {
		for v := range vecs {
			s.addInto(acc[i+v], s.q(init, 16*v))
		}
		s.raw("ADD R%d, R%d, R%d", is, init, init)
	}
	s.code.label(label("bias"))
	s.raw("CBZ R%d, %s", bias, label("store"))
	for v := range vecs {
		x := s.q(bias, 16*v)
		for i := 0; i < len(acc); i += vecs {
			s.addInto(acc[i+v], x)
		}
	}
	s.code.label(label("store"))
	for i := 0; i < len(acc); i += vecs {
		for v := range vecs {
			s.storeQ(acc[i+v], out, 16*v)
		}
		s.raw("ADD R%d, R%d, R%d", cs, out, out)
	}
	s.raw("RET")
}

// block writes the product of small strided matrices that attention is made of, of up to
// 12 rows and 8, 4 or 1 columns.
func block(c *code) {
	const most = 12
	s := c.structure("block", "block", fmt.Sprintf("is C = [C +] A·B for up to %d rows and 8, 4 or 1 columns.", most))
	rows, cols := s.field(blockRows), s.field(blockCols)
	s.raw("CMP $4, R%d", cols)
	s.raw("BEQ four1")
	s.raw("BLT one1")
	held := c.free
	for _, form := range []struct {
		name string
		vecs int
		load func(base, off int) V
		save func(v V, base, off int)
	}{{"eight", 2, c.q, c.storeQ}, {"four", 1, c.q, c.storeQ}, {"one", 1, c.s, c.storeS}} {
		for r := 0; r <= most; r++ {
			label := func(what string) string { return fmt.Sprintf("%s%d%s", form.name, r, what) }
			if r == 0 { // the first of a form: which number of rows is it
				s.label(form.name + "1")
				s.choose(rows, form.name, most)
				continue
			}
			if r > 1 {
				s.label(label(""))
			}
			c.free = held
			turns := 1
			for r*form.vecs*turns < 8 {
				turns *= 2
			}
			var acc [][]V
			for range turns {
				acc = append(acc, c.zeros(r*form.vecs))
			}
			a, b, n := s.field(blockA), s.field(blockB), s.field(blockK)
			ak, bs := s.stride(blockAK, 4), s.stride(blockBS, 4)
			as := s.stride(blockAS, 4)
			row := s.rowsAt(a, as, r)
			s.raw("CBZ R%d, %s", n, label("sum"))
			s.label(label("loop"))
			s.begin()
			for turn := range turns {
				var y []V
				for v := range form.vecs {
					y = append(y, form.load(b, 16*v))
				}
				for i, p := range row {
					x := c.every(p)
					s.raw("ADD R%d, R%d, R%d", ak, p, p)
					for v := range y {
						c.addMulInto(acc[turn][i*form.vecs+v], y[v], x)
					}
				}
				s.raw("ADD R%d, R%d, R%d", bs, b, b)
				s.raw("SUBS $1, R%d, R%d", n, n)
				if turn < turns-1 {
					s.raw("BEQ %s", label("sum"))
				}
			}
			s.raw("BNE %s", label("loop"))
			s.end()
			s.label(label("sum"))
			sum := acc[0]
			for _, more := range acc[1:] {
				for i := range sum {
					s.addInto(sum[i], more[i])
				}
			}
			c.give(row...)
			out, cs, add := s.field(blockC), s.stride(blockCS, 4), s.field(blockAdd)
			p := c.gp()
			s.raw("CBZ R%d, %s", add, label("store"))
			s.raw("MOVD R%d, R%d", out, p)
			for i := range r {
				for v := range form.vecs {
					s.addInto(sum[i*form.vecs+v], form.load(p, 16*v))
				}
				s.raw("ADD R%d, R%d, R%d", cs, p, p)
			}
			s.label(label("store"))
			for i := range r {
				for v := range form.vecs {
					form.save(sum[i*form.vecs+v], out, 16*v)
				}
				s.raw("ADD R%d, R%d, R%d", cs, out, out)
			}
			s.raw("RET")
		}
	}
	c.finish()
}
