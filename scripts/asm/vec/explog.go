package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/ecospa/ecospa/scripts/asm/poly"
)

// exp is exp(x) for x <= 88.7: with n = round(x/ln2) and r = x - n·ln2,
// exp(x) = 2ⁿ·exp(r). Results below the smallest normal number are rounded to
// subnormal ones. A NaN stays one.
func (k *kit) exp(x VecVirtual) VecVirtual {
	low := k.constant(poly.ExpLow)
	x = k.max(low, x) // in this order a NaN in x is kept
	n := k.mul(x, k.f(math.Log2E))
	if k.wide {
		VRNDSCALEPS(Imm(8), n, n)
	} else {
		VROUNDPS(Imm(8), n, n)
	}
	r := k.copy(x)
	k.subMulInto(r, n, k.f(poly.Ln2Hi))
	k.subMulInto(r, n, k.f(poly.Ln2Lo))
	y := k.polynomial(append([]float64{1, 1}, poly.ExpTail...), r)
	if k.wide {
		VSCALEFPS(n, y, y)
		return y
	}
	// 2ⁿ in two factors, each of which is a normal number.
	i, h := YMM(), YMM()
	VCVTPS2DQ(n, i)
	VPSRAD(Imm(1), i, h)
	VPSUBD(h, i, i)
	for _, v := range []VecVirtual{h, i} {
		VPADDD(k.bits(127), v, v)
		VPSLLD(Imm(23), v, v)
		VMULPS(v, y, y)
	}
	return y
}

// exp2 is 2^x for poly.Masked <= x <= 127. Results below the smallest normal number
// are subnormal, or 0 with AVX2.
func (k *kit) exp2(x VecVirtual) (y VecVirtual) {
	n := k.vec()
	if !k.wide {
		keep := k.vec()
		VCMPPS(Imm(6), k.f(-126), x, keep) // not x <= -126, true of a NaN
		defer func() { VANDPS(keep, y, y) }()
		x = k.max(k.constant(-126), x)
	}
	if k.wide {
		VRNDSCALEPS(Imm(8), x, n)
	} else {
		VROUNDPS(Imm(8), x, n)
	}
	y = k.polynomial(poly.Power, k.sub(x, n))
	if k.wide {
		VSCALEFPS(n, y, y)
		return y
	}
	VCVTPS2DQ(n, n)
	VPSLLD(Imm(23), n, n)
	VPADDD(n, y, y) // y is in (0.7, 1.5): its exponent takes n
	return y
}

// sigmoid returns s = 1/(1+exp(-x)) and c = 1 - s, the latter not by a
// subtraction, so that it is exact to rounding where s is near 1.
func (k *kit) sigmoid(x VecVirtual) (s, c VecVirtual) {
	high := k.constant(87)
	e := k.exp(k.min(high, k.neg(x))) // beyond 87, 1+e would overflow
	s = k.div(k.constant(1), k.add(e, k.f(1)))
	return s, k.mul(e, s)
}

// tanh is tanh(x), by m = exp(-2|x|) - 1, which keeps its relative precision where
// x is small: tanh|x| = -m/(2 + m).
func (k *kit) tanh(x VecVirtual) VecVirtual {
	low := k.constant(-40) // beyond it the result is 1
	y := k.max(low, k.mul(k.abs(x), k.f(-2)))
	n := k.mul(y, k.f(math.Log2E))
	if k.wide {
		VRNDSCALEPS(Imm(8), n, n)
	} else {
		VROUNDPS(Imm(8), n, n)
	}
	k.subMulInto(y, n, k.f(poly.Ln2Hi))
	k.subMulInto(y, n, k.f(poly.Ln2Lo))
	r := k.mul(k.polynomial(append([]float64{1}, poly.ExpTail...), y), y) // exp(y) - 1
	scale := k.vec()                                                      // 2ⁿ
	if k.wide {
		VSCALEFPS(n, k.constant(1), scale)
	} else {
		VCVTPS2DQ(n, scale)
		VPADDD(k.bits(127), scale, scale)
		VPSLLD(Imm(23), scale, scale)
	}
	m := k.sub(scale, k.f(1))
	k.addMulInto(m, scale, r)
	t := k.div(k.neg(m), k.add(m, k.f(2)))
	k.orInto(t, k.and(x, signBit))
	return t
}

// normal returns Φ(x) and exp(-x²/2). Φ keeps its relative precision in the
// lower tail.
func (k *kit) normal(x VecVirtual) (phi, bell VecVirtual) {
	a := k.abs(x)
	d := k.copy(a)
	k.mulAddInto(d, k.constant(poly.TailScale), k.f(1))
	t := k.div(k.constant(1), d)
	sq := k.mul(a, a)
	bell = k.exp(k.mul(sq, k.f(-0.5)))
	lost := k.copy(a) // what rounding took from a²
	VFMSUB213PS(sq, a, lost)
	k.subMulInto(bell, k.mul(bell, k.f(0.5)), lost)
	q := k.mul(bell, k.polynomial(poly.NormalTail, t)) // Φ(-|x|)
	// Φ(x) = q for x < 0, else 1 - q
	up := k.sub(k.constant(1), q)
	phi = k.vec()
	if k.wide {
		m := K()
		VPMOVD2M(x, m)
		VMOVAPS(up, phi)
		VMOVAPS(q, m, phi)
	} else {
		VBLENDVPS(x, q, up, phi)
	}
	return phi, bell
}
