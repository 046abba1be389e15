package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// bf16 writes the conversions between float32 and bfloat16: of whole vectors, as
// AVX2 cannot store a part of a vector of words.
func (k *kit) bf16() {
	k.function("round", "(x []float32)", "rounds x to bfloat16 in place.")
	x := pointer("x")
	k.loop("", length("x"), 2, func(p *at) { p.store(k.rounded(p.load(x)), x) })
	k.done()

	k.function("toBF16", "(dst []uint16, src []float32)", "rounds src, whole vectors, to bfloat16.")
	dst, src, n := pointer("dst"), pointer("src"), length("src")
	k.each(k.vectors(n), func() {
		v := k.vec()
		VMOVUPS(Mem{Base: src}, v)
		v = k.rounded(v)
		VPSRLD(Imm(16), v, v)
		if k.wide {
			VPMOVDW(v, Mem{Base: dst})
		} else {
			VPACKUSDW(v, v, v)
			VPERMQ(Imm(0x08), v, v) // the lower halves of both parts
			VMOVDQU(v.AsX(), Mem{Base: dst})
		}
		ADDQ(Imm(uint64(4*k.lanes)), src)
		ADDQ(Imm(uint64(2*k.lanes)), dst)
	})
	k.done()

	k.function("fromBF16", "(dst []float32, src []uint16)", "widens src to dst, whole vectors.")
	dst, src, n = pointer("dst"), pointer("src"), length("dst")
	k.each(k.vectors(n), func() {
		v := k.vec()
		VPMOVZXWD(Mem{Base: src}, v)
		VPSLLD(Imm(16), v, v)
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(Imm(uint64(2*k.lanes)), src)
		ADDQ(Imm(uint64(4*k.lanes)), dst)
	})
	k.done()
}

// bytes8 writes the widening of blocks of 32 signed bytes and a scale of half
// precision, GGUF's Q8_0; F16C comes with every processor that has AVX2.
func (k *kit) bytes8() {
	k.function("fromQ8", "(dst []float32, src []byte, rows, blocks, ds, ss int)", "widens rows of whole blocks: see its portable form.")
	dst, src := pointer("dst"), pointer("src")
	rows, blocks := Load(Param("rows"), GP64()), Load(Param("blocks"), GP64())
	ds, ss := Load(Param("ds"), GP64()), Load(Param("ss"), GP64())
	SHLQ(Imm(2), ds)
	TESTQ(blocks, blocks)
	JZ(LabelRef("none"))
	k.each(rows.(GPVirtual), func() {
		to, from, n := GP64(), GP64(), GP64()
		MOVQ(dst, to)
		MOVQ(src, from)
		MOVQ(blocks, n)
		Label("block")
		scale := k.vec()
		VPBROADCASTW(Mem{Base: from}, scale.AsX())
		VCVTPH2PS(scale.AsX(), scale)
		for i := range 32 / k.lanes {
			v := k.vec()
			VPMOVSXBD(Mem{Base: from, Disp: 2 + k.lanes*i}, v)
			VCVTDQ2PS(v, v)
			VMULPS(scale, v, v)
			VMOVUPS(v, Mem{Base: to, Disp: 4 * k.lanes * i})
		}
		ADDQ(Imm(34), from)
		ADDQ(Imm(128), to)
		DECQ(n)
		JNZ(LabelRef("block"))
		ADDQ(ds, dst)
		ADDQ(ss, src)
	})
	k.done()
}

// int8 writes the rounding of blocks of 32 values to signed bytes with a scale.
func (k *kit) int8() {
	k.function("toInt8", "(q []byte, scales, x []float32, qs, ss int)", "rounds blocks of values to signed bytes: see its portable form.")
	q, scales, x, n := pointer("q"), pointer("scales"), pointer("x"), length("x")
	qs, ss := Load(Param("qs"), GP64()), Load(Param("ss"), GP64())
	SHLQ(Imm(2), ss)
	SHRQ(Imm(5), n)
	order := k.vec()
	VMOVDQU(k.zipped(), order)
	k.each(n, func() {
		var v [4]VecVirtual
		top := k.zero() // the largest magnitude, as a whole number: a NaN is above all
		for i := range v {
			v[i] = k.vec()
			VMOVUPS(Mem{Base: x, Disp: 32 * i}, v[i])
			VPMAXSD(k.abs(v[i]), top, top)
		}
		h := XMM()
		VEXTRACTI128(Imm(1), top, h)
		VPMAXSD(h, top.AsX(), top.AsX())
		for _, swap := range []uint64{0x4e, 0xb1} {
			VPSHUFD(Imm(swap), top.AsX(), h)
			VPMAXSD(h, top.AsX(), top.AsX())
		}
		bits := GP32()
		VMOVD(top.AsX(), bits)
		CMPL(bits, U32(0x7f800000))
		JCC(LabelRef("spoilt"))
		CMPL(bits, U32(0x0d800000))
		JCS(LabelRef("small"))
		VDIVSS(k.f(127), top.AsX(), h)
		VMOVSS(h, Mem{Base: scales})
		VBROADCASTSS(top.AsX(), top)
		inv := k.div(k.constant(127), top)
		for i := range v {
			VMULPS(inv, v[i], v[i])
			VCVTPS2DQ(v[i], v[i])
		}
		VPACKSSDW(v[1], v[0], v[0])
		VPACKSSDW(v[3], v[2], v[2])
		VPACKSSWB(v[2], v[0], v[0])
		VPERMD(v[0], order, v[0])
		VMOVDQU(v[0], Mem{Base: q})
		JMP(LabelRef("next"))
		Label("spoilt")
		MOVL(U32(0x7fc00000), Mem{Base: scales})
		JMP(LabelRef("clear"))
		Label("small")
		MOVL(U32(0), Mem{Base: scales})
		Label("clear")
		VMOVDQU(k.zero(), Mem{Base: q})
		Label("next")
		ADDQ(Imm(128), x)
		ADDQ(qs, q)
		ADDQ(ss, scales)
	})
	k.done()
}

// zipped is the order of doublewords that undoes what packing twice does to both halves.
func (k *kit) zipped() Mem {
	m := GLOBL("zipped", RODATA|NOPTR)
	for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, U32(v))
	}
	return m
}

// vectors is how many whole vectors n values are.
func (k *kit) vectors(n Register) GPVirtual {
	v := n.(GPVirtual)
	if k.wide {
		SHRQ(Imm(4), v)
	} else {
		SHRQ(Imm(3), v)
	}
	return v
}

// rounded is the bfloat16 next to each value of x, ties to even; NaN stays NaN.
func (k *kit) rounded(x VecVirtual) VecVirtual {
	odd := k.vec()
	VPSRLD(Imm(16), x, odd)
	up := k.binary(intAdd, k.and(odd, 1), k.bits(0x7fff))
	k.into(intAdd, x, up, up)
	quiet := k.vec()
	if k.wide {
		VPORD_BCST(k.bits(0x400000), x, quiet)
		nan := K()
		VCMPPS(Imm(3), x, x, nan) // unordered
		VMOVAPS(quiet, nan, up)
	} else {
		VPOR(k.bits(0x400000), x, quiet)
		nan := k.vec()
		VCMPPS(Imm(3), x, x, nan)
		VBLENDVPS(nan, quiet, up, up)
	}
	return k.and(up, 0xffff0000)
}
