package main

import (
	"fmt"
	"math"
)

// Operations on vectors of four float32; each returns a new vector unless it is named for
// what it changes (…Into). Encodings: Arm Architecture Reference Manual, C7.2.

func (c *code) op(what string, code uint32, x, y V) V {
	v := c.new()
	c.three(what, code, v, x, y)
	return v
}

func (c *code) one(what string, code uint32, x V) V {
	v := c.new()
	c.two(what, code, v, x)
	return v
}

func (c *code) add(x, y V) V { return c.op("fadd", 0x4e20d400, x, y) }
func (c *code) sub(x, y V) V { return c.op("fsub", 0x4ea0d400, x, y) } // x - y
func (c *code) mul(x, y V) V { return c.op("fmul", 0x6e20dc00, x, y) }
func (c *code) div(x, y V) V { return c.op("fdiv", 0x6e20fc00, x, y) } // x / y
func (c *code) max(x, y V) V { return c.op("fmax", 0x4e20f400, x, y) } // NaN where either is
func (c *code) min(x, y V) V { return c.op("fmin", 0x4ea0f400, x, y) } // NaN where either is
func (c *code) and(x, y V) V { return c.op("and", 0x4e201c00, x, y) }

func (c *code) addInto(acc, x V)       { c.three("fadd", 0x4e20d400, acc, acc, x) }
func (c *code) maxInto(acc, x V)       { c.three("fmax", 0x4e20f400, acc, acc, x) }
func (c *code) addMulInto(acc, x, y V) { c.three("fmla", 0x4e20cc00, acc, x, y) } // acc += x·y
func (c *code) subMulInto(acc, x, y V) { c.three("fmls", 0x4ea0cc00, acc, x, y) } // acc -= x·y

// mulAdd is x·y + z.
func (c *code) mulAdd(x, y, z V) V {
	v := c.copy(z)
	c.addMulInto(v, x, y)
	return v
}

func (c *code) copy(x V) V { return c.op("mov", 0x4ea01c00, x, x) }
func (c *code) neg(x V) V  { return c.one("fneg", 0x6ea0f800, x) }
func (c *code) abs(x V) V  { return c.one("fabs", 0x4ea0f800, x) }
func (c *code) root(x V) V { return c.one("fsqrt", 0x6ea1f800, x) }

// round is the nearest whole number as float32, whole as int32.
func (c *code) round(x V) V { return c.one("frintn", 0x4e218800, x) }
func (c *code) whole(x V) V { return c.one("fcvtns", 0x4e21a800, x) }
func (c *code) float(x V) V { return c.one("scvtf", 0x4e21d800, x) }

// Shifts of whole numbers of 32 bits.
func (c *code) left(x V, n int) V {
	return c.one(fmt.Sprintf("shl #%d", n), 0x4f005400|uint32(32+n)<<16, x)
}
func (c *code) right(x V, n int) V {
	return c.one(fmt.Sprintf("ushr #%d", n), 0x6f000400|uint32(64-n)<<16, x)
}
func (c *code) signedRight(x V, n int) V {
	return c.one(fmt.Sprintf("sshr #%d", n), 0x4f000400|uint32(64-n)<<16, x)
}
func (c *code) intAdd(x, y V) V  { return c.op("add", 0x4ea08400, x, y) }
func (c *code) intSub(x, y V) V  { return c.op("sub", 0x6ea08400, x, y) }
func (c *code) intMul(x, y V) V  { return c.op("mul", 0x4ea09c00, x, y) }
func (c *code) or(x, y V) V      { return c.op("orr", 0x4ea01c00, x, y) }
func (c *code) xor(x, y V) V     { return c.op("eor", 0x6e201c00, x, y) }
func (c *code) without(x, y V) V { return c.op("bic", 0x4e601c00, x, y) } // x and not y

// above is ones where x > y.
func (c *code) above(x, y V) V { return c.op("fcmgt", 0x6ea0e400, x, y) }

// pick is x where the mask is ones, else y.
func (c *code) pick(mask, x, y V) V {
	v := c.copy(mask)
	c.three("bsl", 0x6e601c00, v, x, y)
	return v
}

func (c *code) zero() V {
	v := c.new()
	c.word("movi #0", 0x4f000400, []int{0}, v)
	return v
}

func (c *code) zeros(n int) []V {
	s := make([]V, n)
	for i := range s {
		s[i] = c.zero()
	}
	return s
}

// f is a constant in every lane, read from memory.
func (c *code) f(x float64) V   { return c.bits(math.Float32bits(float32(x))) }
func (c *code) bits(b uint32) V { return c.q(26, c.constant(b)) }

// Loads and stores of a whole vector, two lanes, a lane and half of one.
func (c *code) q(base, off int) V {
	v := c.new()
	c.memory(loadQ, v, base, off)
	return v
}
func (c *code) d(base, off int) V {
	v := c.new()
	c.memory(loadD, v, base, off)
	return v
}
func (c *code) s(base, off int) V {
	v := c.new()
	c.memory(loadS, v, base, off)
	return v
}
func (c *code) h(base, off int) V {
	v := c.new()
	c.memory(loadH, v, base, off)
	return v
}
func (c *code) storeQ(v V, base, off int) { c.memory(saveQ, v, base, off) }
func (c *code) storeS(v V, base, off int) { c.memory(saveS, v, base, off) }

// every loads a float32 in every lane.
func (c *code) every(base int) V {
	v := c.new()
	c.word(fmt.Sprintf("ld1r [R%d]", base), 0x4d40c800|uint32(base)<<5, []int{0}, v)
	return v
}

// spread is lane 0 in every lane; first lane 0 and zeros.
func (c *code) spread(x V) V { return c.one("dup", 0x4e040400, x) }
func (c *code) first(x V) V  { return c.one("fmov s", 0x1e204000, x) }

// polynomial is p(x) by Horner's rule, coefficients lowest first.
func (c *code) polynomial(p []float64, x V) V {
	acc := c.f(p[len(p)-1])
	for i := len(p) - 2; i >= 0; i-- {
		next := c.f(p[i])
		c.addMulInto(next, acc, x)
		acc = next
	}
	return acc
}

// fold adds running sums up in a fixed order and leaves the result in lane 0.
func (c *code) fold(s []V) V {
	for len(s) > 1 {
		for i := range len(s) / 2 {
			c.addInto(s[i], s[i+(len(s)+1)/2])
		}
		s = s[:(len(s)+1)/2]
	}
	two := c.pairs(s[0], s[0])
	return c.pairs(two, two)
}

// pairs is the sums of neighbours, of x and then of y.
func (c *code) pairs(x, y V) V { return c.op("faddp", 0x6e20d400, x, y) }

// sumFour is the sums of four vectors, side by side.
func (c *code) sumFour(v []V) V { return c.pairs(c.pairs(v[0], v[1]), c.pairs(v[2], v[3])) }
