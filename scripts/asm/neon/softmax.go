package main

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/scripts/asm/poly"
)

// softmax writes what softmax and its gradient need, and the soft cap.
func softmax(c *code) {
	c.function("maximum", "(x []float32) (top float32)", "is the largest of x, or -Inf.")
	x, n := c.pointer("x"), c.length("x")
	m := c.lowest()
	c.loop("", n, 4, func(p *at) { c.top(p, x, m[p.u]) })
	c.result("top", c.largest(m))
	c.done()

	c.function("expSum", "(y, x []float32, top float32) (s float32)", "is y = exp(x - top) and the sum of y.")
	y, x, n := c.pointer("y"), c.pointer("x"), c.length("y")
	top := c.scalar("top")
	s := c.zeros(2)
	c.loop("", n, 2, func(p *at) {
		e := c.exp(c.sub(p.load(x), top))
		c.addInto(s[p.u], p.keep(e))
		p.store(e, y)
	})
	c.result("s", c.fold(s))
	c.done()

	c.function("softmaxBack", "(prob, ds, lse, delta []float32, width, stride int, slope, scale float32)",
		"is the gradient through rows of a softmax: see its portable form.")
	prob, ds := c.pointer("prob"), c.pointer("ds")
	lse, delta, count := c.pointer("lse"), c.pointer("delta"), c.length("lse")
	width, stride := c.number("width"), c.bytes("stride")
	slope, scale := c.scalar("slope"), c.scalar("scale")
	c.each(count, func() {
		l, d := c.neg(c.every(lse)), c.every(delta)
		c.loop("back", width, 2, func(p *at) {
			e := c.exp2(c.mulAdd(p.load(prob), slope, l))
			p.store(e, prob)
			p.store(c.mul(c.mul(c.sub(p.load(ds), d), scale), e), ds)
		})
		c.raw("ADD R%d, R%d, R%d", stride, prob, prob)
		c.raw("ADD R%d, R%d, R%d", stride, ds, ds)
		c.raw("ADD $4, R%d, R%d", lse, lse)
		c.raw("ADD $4, R%d, R%d", delta, delta)
	})
	c.done()
	c.softmaxRows()

	c.function("softCap", "(y, x []float32, slope, c float32)", "is y = c·tanh(slope·x).")
	y, x, n = c.pointer("y"), c.pointer("x"), c.length("y")
	slope = c.scalar("slope")
	limit := c.scalar("c")
	c.loop("", n, 2, func(p *at) { p.store(c.mul(c.tanh(c.mul(p.load(x), slope)), limit), y) })
	c.done()

	c.function("softCapBack", "(dx, dy, y []float32, delta, inv float32)", "is dx = (dy - delta)·(1 - (y·inv)²).")
	dx, dy, y, n := c.pointer("dx"), c.pointer("dy"), c.pointer("y"), c.length("dx")
	less, inv := c.scalar("delta"), c.scalar("inv")
	c.loop("", n, 4, func(p *at) {
		t := c.mul(p.load(y), inv)
		d := c.sub(p.load(dy), less)
		c.subMulInto(d, c.mul(d, t), t)
		p.store(d, dx)
	})
	c.done()
}

func (c *code) softmaxRows() {
	c.function("softmaxRows", "(score, o, state []float32, width, stride, vo int)",
		"takes rows of scores into an online softmax: see its portable form.")
	row, o, state, count := c.pointer("score"), c.pointer("o"), c.pointer("state"), c.length("state")
	c.raw("LSR $1, R%d, R%d", count, count)
	width, stride, vo := c.number("width"), c.bytes("stride"), c.number("vo")
	c.each(count, func() {
		m := c.lowest()
		c.loop("max", width, 4, func(p *at) { c.top(p, row, m[p.u]) })
		old := c.s(state, 0)
		peak := c.max(c.largest(m), old)
		c.storeS(peak, state, 0)
		top := c.spread(peak)
		s := c.zeros(2)
		c.loop("exp", width, 2, func(p *at) {
			e := c.exp2(c.sub(p.load(row), top))
			c.addInto(s[p.u], p.keep(e))
			p.store(e, row)
		})
		sum, before := c.fold(s), c.s(state, 4)
		c.word("fcmp s", 0x1e202000, []int{5, 16}, old, peak)
		c.raw("BEQ same")
		f := c.exp2(c.max(c.sub(c.spread(old), top), c.f(poly.Masked)))
		c.addMulInto(sum, before, f)
		c.storeS(sum, state, 4)
		c.loop("scale", vo, 4, func(p *at) { p.store(c.mul(p.load(o), f), o) })
		c.raw("B next")
		c.label("same")
		c.storeS(c.add(sum, before), state, 4)
		c.label("next")
		c.raw("ADD R%d, R%d, R%d", stride, row, row)
		c.raw("ADD R%d<<2, R%d, R%d", vo, o, o)
		c.raw("ADD $8, R%d, R%d", state, state)
	})
	c.done()
}

func (c *code) lowest() []V {
	m := make([]V, 4)
	for i := range m {
		m[i] = c.f(math.Inf(-1))
	}
	return m
}

// top takes values of x into a running maximum.
func (c *code) top(p *at, x int, m V) {
	v := p.load(x)
	if p.tail {
		v = c.spread(v)
	}
	c.maxInto(m, v)
}

// largest is the largest lane of all.
func (c *code) largest(m []V) V {
	for _, i := range [][2]int{{0, 2}, {1, 3}, {0, 1}} {
		c.maxInto(m[i[0]], m[i[1]])
	}
	return c.one("fmaxv", 0x6e30f800, m[0])
}

// copies of rows.
func moves(c *code) {
	c.function("gather", "(dst, src []float32, rows, cols, ds, ss int)", "is dst[r·ds+c] = src[r·ss+c] for rows r and columns c.")
	dst, src, count, cols := c.pointer("dst"), c.pointer("src"), c.number("rows"), c.number("cols")
	ds, ss := c.bytes("ds"), c.bytes("ss")
	c.each(count, func() {
		c.loop("copy", cols, 4, func(p *at) { p.store(p.load(src), dst) })
		c.raw("ADD R%d, R%d, R%d", ds, dst, dst)
		c.raw("ADD R%d, R%d, R%d", ss, src, src)
	})
	c.done()

	c.function("transpose8", "(dst, src []float32, blocks, ds, ss int)", "is dst[c·ds+r] = src[r·ss+c] for 8 rows r and 8·blocks columns c.")
	dst, src, count = c.pointer("dst"), c.pointer("src"), c.number("blocks")
	ds, ss = c.bytes("ds"), c.bytes("ss")
	from := c.gp()
	c.raw("LSL $1, R%d, R%d", count, count) // four columns at a time
	c.each(count, func() {
		c.raw("MOVD R%d, R%d", src, from)
		var out [2][]V
		for half := range out {
			var r [4]V
			for i := range r {
				r[i] = c.q(from, 0)
				c.raw("ADD R%d, R%d, R%d", ss, from, from)
			}
			out[half] = c.turned(r)
		}
		for j := range 4 {
			c.storeQ(out[0][j], dst, 0)
			c.storeQ(out[1][j], dst, 16)
			c.raw("ADD R%d, R%d, R%d", ds, dst, dst)
		}
		c.raw("ADD $16, R%d, R%d", src, src)
	})
	c.done()
}

// turned is the columns of four rows of four.
func (c *code) turned(r [4]V) []V {
	lo, hi := [2]V{}, [2]V{}
	for i := range 2 { // rows 0 and 1, rows 2 and 3
		lo[i], hi[i] = c.op("zip1", 0x4e803800, r[2*i], r[2*i+1]), c.op("zip2", 0x4e807800, r[2*i], r[2*i+1])
	}
	var out []V
	for _, v := range [][2]V{lo, hi} {
		out = append(out, c.op("zip1 2d", 0x4ec03800, v[0], v[1]), c.op("zip2 2d", 0x4ec07800, v[0], v[1]))
	}
	return out
}

// dots writes the scores of one query against keys.
func dots(c *code) {
	c.function("dots", "(s, q, keys []float32, stride int)", "is s[j] = sum of q·keys[j·stride:], len(q) values a key.")
	s, q, keys := c.pointer("s"), c.pointer("q"), c.pointer("keys")
	n, d, stride := c.length("s"), c.length("q"), c.bytes("stride")
	for _, group := range []int{4, 1} {
		tag := fmt.Sprintf("keys%d", group)
		c.label(tag)
		c.raw("SUBS $%d, R%d, R%d", group, n, n)
		c.raw("BLT %snone", tag)
		c.begin()
		acc, row := c.zeros(group), []int{keys}
		for len(row) < group {
			r := c.gp()
			c.raw("ADD R%d, R%d, R%d", stride, row[len(row)-1], r)
			row = append(row, r)
		}
		c.loop(tag, d, 1, func(p *at) {
			v := p.load(q)
			for j, r := range row {
				c.addMulInto(acc[j], v, p.load(r))
			}
		})
		if group == 4 {
			c.storeQ(c.sumFour(acc), s, 0)
		} else {
			c.storeS(c.fold(acc), s, 0)
		}
		c.raw("ADD $%d, R%d, R%d", 4*group, s, s)
		c.raw("ADD R%d, R%d, R%d", stride, row[group-1], keys)
		c.raw("B %s", tag)
		c.end()
		c.label(tag + "none")
		c.raw("ADD $%d, R%d, R%d", group, n, n)
		c.give(row[1:]...)
	}
	c.done()
}
