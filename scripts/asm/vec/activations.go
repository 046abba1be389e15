package main

import (
	"math"

	. "github.com/mmcloughlin/avo/reg"

	"github.com/ecospa/ecospa/scripts/asm/poly"
)

// twoU is twice the u of (1 + tanh(u))/2 = sigmoid(2u), GELU's factor of x.
func (k *kit) twoU(x VecVirtual) VecVirtual {
	u := k.mul(x, x)
	k.mulAddInto(u, k.constant(2*poly.GELUA*poly.GELUB), k.f(2*poly.GELUA))
	return k.mul(u, x)
}

// tanhSlope turns s = sigmoid(2u), with c = 1 - s, into the derivative of x·s:
// s + x·s·c·d(2u)/dx.
func (k *kit) tanhSlope(x, s, c VecVirtual) {
	d := k.mul(x, x)
	k.mulAddInto(d, k.constant(6*poly.GELUA*poly.GELUB), k.f(2*poly.GELUA))
	k.addMulInto(s, k.mul(k.mul(x, s), c), d)
}

// erfSlope turns Φ(x) into the derivative of x·Φ(x); bell is exp(-x²/2).
func (k *kit) erfSlope(x, phi, bell VecVirtual) {
	k.addMulInto(phi, k.mul(x, k.f(1/math.Sqrt(2*math.Pi))), bell)
}

// activations writes GELU and SwiGLU.
func activations(k *kit) {
	k.function("geluTanh", "(y, x []float32)", "is y = x·(1 + tanh(u))/2, u = √(2/π)·(x + 0.044715·x³).")
	y, x, n := pointer("y"), pointer("x"), length("y")
	k.loop("", n, 2, func(p *at) {
		v := p.load(x)
		s, _ := k.sigmoid(k.twoU(v))
		p.store(k.mul(s, v), y)
	})
	k.done()

	k.function("geluTanhBack", "(dx, dy, x []float32)", "is the gradient of geluTanh.")
	dx, dy, x, n := pointer("dx"), pointer("dy"), pointer("x"), length("dx")
	k.loop("", n, 2, func(p *at) {
		v := p.load(x)
		s, c := k.sigmoid(k.twoU(v))
		k.tanhSlope(v, s, c)
		p.store(k.mul(s, p.load(dy)), dx)
	})
	k.done()

	k.function("geluErf", "(y, x []float32)", "is y = x·Φ(x).")
	y, x, n = pointer("y"), pointer("x"), length("y")
	k.loop("", n, 2, func(p *at) {
		v := p.load(x)
		phi, _ := k.normal(v)
		p.store(k.mul(phi, v), y)
	})
	k.done()

	k.function("geluErfBack", "(dx, dy, x []float32)", "is the gradient of geluErf.")
	dx, dy, x, n = pointer("dx"), pointer("dy"), pointer("x"), length("dx")
	k.loop("", n, 2, func(p *at) {
		v := p.load(x)
		phi, bell := k.normal(v)
		k.erfSlope(v, phi, bell)
		p.store(k.mul(phi, p.load(dy)), dx)
	})
	k.done()

	k.function("swiglu", "(h, gate, up []float32)", "is h = gate·sigmoid(gate)·up.")
	h, gate, up, n := pointer("h"), pointer("gate"), pointer("up"), length("h")
	k.loop("", n, 2, func(p *at) {
		g := p.load(gate)
		s, _ := k.sigmoid(g)
		p.store(k.mul(k.mul(g, s), p.load(up)), h)
	})
	k.done()

	k.function("swigluBack", "(dgate, dup, dh, gate, up []float32)", "is the gradient of swiglu.")
	dgate, dup, dh, gate, up, n := pointer("dgate"), pointer("dup"), pointer("dh"), pointer("gate"), pointer("up"), length("dgate")
	k.loop("", n, 2, func(p *at) {
		g := p.load(gate)
		s, c := k.sigmoid(g)
		d := p.load(dh)
		gs := k.mul(g, s)
		u := p.load(up)
		p.store(k.mul(d, gs), dup)
		k.addMulInto(s, gs, c) // s·(1 + g·(1-s))
		p.store(k.mul(k.mul(d, u), s), dgate)
	})
	k.done()
}

// gated writes GELU's gated forms, h = gelu(gate)·up.
func gated(k *kit) {
	for _, tanh := range []bool{true, false} {
		name := "gegluErf"
		if tanh {
			name = "gegluTanh"
		}
		k.function(name, "(h, gate, up []float32)", "is h = gelu(gate)·up.")
		h, gate, up, n := pointer("h"), pointer("gate"), pointer("up"), length("h")
		k.loop("", n, 2, func(p *at) {
			g := p.load(gate)
			s, _ := k.share(g, tanh)
			p.store(k.mul(k.mul(g, s), p.load(up)), h)
		})
		k.done()

		k.function(name+"Back", "(dgate, dup, dh, gate, up []float32)", "is the gradient of "+name+".")
		dgate, dup, dh, gate, up, n := pointer("dgate"), pointer("dup"), pointer("dh"), pointer("gate"), pointer("up"), length("dgate")
		k.loop("", n, 2, func(p *at) {
			g := p.load(gate)
			s, c := k.share(g, tanh)
			d := p.load(dh)
			u := p.load(up)
			p.store(k.mul(d, k.mul(g, s)), dup)
			if tanh {
				k.tanhSlope(g, s, c)
			} else {
				k.erfSlope(g, s, c)
			}
			p.store(k.mul(k.mul(d, u), s), dgate)
		})
		k.done()
	}
}

// share is GELU's factor of x, and what its slope needs besides.
func (k *kit) share(x VecVirtual, tanh bool) (s, c VecVirtual) {
	if tanh {
		return k.sigmoid(k.twoU(x))
	}
	return k.normal(x)
}
