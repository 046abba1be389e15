package main

import "strconv"

// at is where a vector of a loop lies in every stream, or with tail a single value.
type at struct {
	*code
	u      int         // vector of the unrolled group
	tail   bool        // one value, the other lanes are zeros
	stream map[int]int // the loop's own pointer into each stream
}

// of is the loop's pointer into the stream that begins at base.
func (p *at) of(base int) int {
	r, ok := p.stream[base]
	if !ok {
		r = p.gp()
		p.stream[base] = r
	}
	return r
}

func (p *at) load(base int) V {
	if p.tail {
		return p.s(p.of(base), 0)
	}
	return p.q(p.of(base), 16*p.u)
}

func (p *at) store(v V, base int) {
	if p.tail {
		p.storeS(v, p.of(base), 0)
		return
	}
	p.storeQ(v, p.of(base), 16*p.u)
}

// keep zeroes the lanes beyond the end, before they enter a sum.
func (p *at) keep(v V) V {
	if p.tail {
		return p.first(v)
	}
	return v
}

// loop runs body over n values, unroll vectors at a time, then one at a time, then value by
// value. A value's result does not depend on which of the three it falls to.
func (c *code) loop(tag string, n, unroll int, body func(p *at)) {
	before := c.list
	c.list = nil
	stream, left := map[int]int{}, c.gp()
	forward := func(values int) {
		for _, base := range ordered(stream) {
			c.raw("ADD $%d, R%d, R%d", 4*values, stream[base], stream[base])
		}
	}
	c.raw("SUBS $%d, R%d, R%d", 4*unroll, n, left)
	c.raw("BLT %sones", tag)
	c.label(tag + "group")
	c.begin()
	for u := range unroll {
		body(&at{code: c, u: u, stream: stream})
	}
	forward(4 * unroll)
	c.raw("SUBS $%d, R%d, R%d", 4*unroll, left, left)
	c.raw("BGE %sgroup", tag)
	c.end()
	c.label(tag + "ones")
	if unroll > 1 {
		c.raw("ADDS $%d, R%d, R%d", 4*(unroll-1), left, left)
		c.raw("BLT %stail", tag)
		c.label(tag + "one")
		c.begin()
		body(&at{code: c, stream: stream})
		forward(4)
		c.raw("SUBS $4, R%d, R%d", left, left)
		c.raw("BGE %sone", tag)
		c.end()
	}
	c.label(tag + "tail")
	c.raw("ADDS $4, R%d, R%d", left, left)
	c.raw("BEQ %send", tag)
	c.label(tag + "value")
	c.begin()
	body(&at{code: c, tail: true, stream: stream})
	forward(1)
	c.raw("SUBS $1, R%d, R%d", left, left)
	c.raw("BNE %svalue", tag)
	c.end()
	c.label(tag + "end")

	after := c.list
	c.list = before
	for _, base := range ordered(stream) {
		c.raw("MOVD R%s, R%d", strconv.Itoa(base), stream[base])
		c.give(stream[base])
	}
	c.give(left)
	c.list = append(c.list, after...)
}

// ordered is the keys of m, so that the text is always the same.
func ordered(m map[int]int) (keys []int) {
	for i := range 32 {
		if _, ok := m[i]; ok {
			keys = append(keys, i)
		}
	}
	return keys
}

// each runs body n times, n a register that it uses up.
func (c *code) each(n int, body func()) {
	c.raw("CBZ R%d, none", n)
	c.label("each")
	c.begin()
	body()
	c.raw("SUBS $1, R%d, R%d", n, n)
	c.raw("BNE each")
	c.end()
	c.label("none")
}
