package main

import (
	"math"

	"github.com/ecospa/ecospa/scripts/asm/poly"
)

// exp is exp(x) for x <= 88.7: with n = round(x/ln2) and r = x - n·ln2, exp(x) =
// 2ⁿ·exp(r). Results below the smallest normal number are rounded to subnormal ones. A NaN
// stays one.
func (c *code) exp(x V) V {
	n, r := c.reduced(c.max(x, c.f(poly.ExpLow)))
	y := c.polynomial(append([]float64{1, 1}, poly.ExpTail...), r)
	i := c.whole(n) // 2ⁿ in two factors, each of which is a normal number
	h := c.signedRight(i, 1)
	return c.mul(c.mul(y, c.power(h)), c.power(c.intSub(i, h)))
}

// reduced is n = round(x/ln2) and x - n·ln2.
func (c *code) reduced(x V) (n, r V) {
	n = c.round(c.mul(x, c.f(math.Log2E)))
	r = c.copy(x)
	c.subMulInto(r, n, c.f(poly.Ln2Hi))
	c.subMulInto(r, n, c.f(poly.Ln2Lo))
	return n, r
}

// power is 2^i for whole numbers.
func (c *code) power(i V) V { return c.left(c.intAdd(i, c.bits(127)), 23) }

// exp2 is 2^x for poly.Masked <= x <= 127. Results below the smallest normal number are 0.
func (c *code) exp2(x V) V {
	small := c.above(c.f(-126), x)
	x = c.max(x, c.f(-126))
	n := c.round(x)
	y := c.polynomial(poly.Power, c.sub(x, n))
	y = c.intAdd(y, c.left(c.whole(n), 23)) // y is in (0.7, 1.5): its exponent takes n
	return c.without(y, small)
}

// sigmoid returns s = 1/(1+exp(-x)) and 1 - s, the latter not by a subtraction, so that
// it is exact to rounding where s is near 1.
func (c *code) sigmoid(x V) (s, rest V) {
	e := c.exp(c.min(c.neg(x), c.f(87))) // beyond 87, 1+e would overflow
	s = c.div(c.f(1), c.add(e, c.f(1)))
	return s, c.mul(e, s)
}

// tanh is tanh(x), by m = exp(-2|x|) - 1, which keeps its relative precision where x is
// small: tanh|x| = -m/(2 + m).
func (c *code) tanh(x V) V {
	n, r := c.reduced(c.max(c.mul(c.abs(x), c.f(-2)), c.f(-40))) // beyond -40 the result is 1
	tail := c.mul(c.polynomial(append([]float64{1}, poly.ExpTail...), r), r)
	scale := c.power(c.whole(n))
	m := c.sub(scale, c.f(1))
	c.addMulInto(m, scale, tail)
	t := c.div(c.neg(m), c.add(m, c.f(2)))
	return c.or(t, c.and(x, c.bits(1<<31)))
}

// normal returns Φ(x) and exp(-x²/2). Φ keeps its relative precision in the lower tail.
func (c *code) normal(x V) (phi, bell V) {
	a := c.abs(x)
	t := c.div(c.f(1), c.mulAdd(a, c.f(poly.TailScale), c.f(1)))
	sq := c.mul(a, a)
	bell = c.exp(c.mul(sq, c.f(-0.5)))
	lost := c.neg(sq) // what rounding took from a²
	c.addMulInto(lost, a, a)
	c.subMulInto(bell, c.mul(bell, c.f(0.5)), lost)
	q := c.mul(bell, c.polynomial(poly.NormalTail, t)) // Φ(-|x|)
	below := c.signedRight(x, 31)
	return c.pick(below, q, c.sub(c.f(1), q)), bell
}
