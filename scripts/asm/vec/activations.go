package main

import (
	"math"

	. "github.com/mmcloughlin/avo/reg"
)

const (
	geluA = 0.7978845608028654 // sqrt(2/π)
	geluB = 0.044715
)

// activations writes GELU and SwiGLU.
func activations(k *kit) {
	// (1 + tanh(u))/2 = sigmoid(2u)
	twoU := func(x VecVirtual) VecVirtual {
		u := k.mul(x, x)
		k.mulAddInto(u, k.constant(2*geluA*geluB), k.f(2*geluA))
		return k.mul(u, x)
	}
	k.function("geluTanh", "(y, x []float32)", "is y = x·(1 + tanh(u))/2, u = √(2/π)·(x + 0.044715·x³).")
	y, x, n := pointer("y"), pointer("x"), length("y")
	k.loop("", n, 2, func(p *at) {
		v := p.load(x)
		s, _ := k.sigmoid(twoU(v))
		p.store(k.mul(s, v), y)
	})
	k.done()

	k.function("geluTanhBack", "(dx, dy, x []float32)", "is the gradient of geluTanh.")
	dx, dy, x, n := pointer("dx"), pointer("dy"), pointer("x"), length("dx")
	k.loop("", n, 2, func(p *at) {
		v := p.load(x)
		s, c := k.sigmoid(twoU(v))
		// s + x·s·(1-s)·d(2u)/dx
		d := k.mul(v, v)
		k.mulAddInto(d, k.constant(6*geluA*geluB), k.f(2*geluA))
		t := k.mul(k.mul(v, s), c)
		k.addMulInto(s, t, d)
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
		k.addMulInto(phi, k.mul(v, k.f(1/math.Sqrt(2*math.Pi))), bell)
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
