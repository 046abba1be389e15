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
