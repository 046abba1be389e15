package main

import (
	"math"

	"github.com/ecospa/ecospa/scripts/asm/poly"
)

// share is the factor s of x in the activations x·s, a number beside it that its slope
// needs, and slope, the derivative of x·s.
type share struct {
	of    func(x V) (s, beside V)
	slope func(x, s, beside V) V
}

func shares(c *code) map[string]share {
	twoU := func(x V, f float64) V { // f times 2·(2/π)^½·0.044715·x² and 2·(2/π)^½
		return c.mulAdd(c.mul(x, x), c.f(f*poly.GELUA*poly.GELUB), c.f(2*poly.GELUA))
	}
	return map[string]share{
		"Tanh": {
			func(x V) (V, V) { return c.sigmoid(c.mul(twoU(x, 2), x)) },
			func(x, s, rest V) V { // s + x·s·(1 - s)·d(2u)/dx
				c.addMulInto(s, c.mul(c.mul(x, s), rest), twoU(x, 6))
				return s
			},
		},
		"Erf": {
			c.normal,
			func(x, phi, bell V) V {
				c.addMulInto(phi, c.mul(x, c.f(1/math.Sqrt(2*math.Pi))), bell)
				return phi
			},
		},
		"": {
			c.sigmoid,
			func(x, s, rest V) V { // s·(1 + x·(1 - s))
				c.addMulInto(s, c.mul(x, s), rest)
				return s
			},
		},
	}
}

// activations writes GELU, and the gated forms h = act(gate)·up of it and of SwiGLU.
func activations(c *code) {
	all := shares(c)
	for _, kind := range []string{"Tanh", "Erf"} {
		a := all[kind]
		c.function("gelu"+kind, "(y, x []float32)", "is y = gelu(x).")
		y, x, n := c.pointer("y"), c.pointer("x"), c.length("y")
		c.loop("", n, 2, func(p *at) {
			v := p.load(x)
			s, _ := a.of(v)
			p.store(c.mul(s, v), y)
		})
		c.done()

		c.function("gelu"+kind+"Back", "(dx, dy, x []float32)", "is the gradient of gelu"+kind+".")
		dx, dy, x, n := c.pointer("dx"), c.pointer("dy"), c.pointer("x"), c.length("dx")
		c.loop("", n, 2, func(p *at) {
			v := p.load(x)
			s, beside := a.of(v)
			p.store(c.mul(a.slope(v, s, beside), p.load(dy)), dx)
		})
		c.done()
	}
	for _, g := range [][2]string{{"swiglu", ""}, {"gegluTanh", "Tanh"}, {"gegluErf", "Erf"}} {
		gated(c, g[0], all[g[1]])
	}
}

func gated(c *code, name string, a share) {
	c.function(name, "(h, gate, up []float32)", "is h = act(gate)·up.")
	h, gate, up, n := c.pointer("h"), c.pointer("gate"), c.pointer("up"), c.length("h")
	c.loop("", n, 2, func(p *at) {
		g := p.load(gate)
		s, _ := a.of(g)
		p.store(c.mul(c.mul(g, s), p.load(up)), h)
	})
	c.done()

	c.function(name+"Back", "(dgate, dup, dh, gate, up []float32)", "is the gradient of "+name+".")
	dgate, dup, dh, gate, up, n := c.pointer("dgate"), c.pointer("dup"), c.pointer("dh"), c.pointer("gate"), c.pointer("up"), c.length("dgate")
	c.loop("", n, 2, func(p *at) {
		g := p.load(gate)
		s, beside := a.of(g)
		d, u := p.load(dh), p.load(up)
		p.store(c.mul(d, c.mul(g, s)), dup)
		p.store(c.mul(c.mul(d, u), a.slope(g, s, beside)), dgate)
	})
	c.done()
}
