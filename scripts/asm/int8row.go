package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// int8Ahead is how far in front of its reads int8Row prefetches, in bytes, by measurement.
const int8Ahead = 4096

// int8Row writes the product of a row of signed bytes by up to eight columns of Q8 as they are
// stored, see kernel.int8RowPortable. A column's blocks are multiplied eight at a time, and
// the sums of each, scaled, wait in products until all columns have theirs. These are turned
// then, eight blocks at a time, so that every column's are added one block after the other.
func int8Row() {
	TEXT("int8Row256", NOSPLIT, "func(t uintptr)")
	Doc("int8Row256 multiplies a row of blocks of signed bytes by up to 8 columns of Q8.")
	t := Load(Param("t"), GP64()).(GPVirtual)
	field := func(at int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		return r
	}
	ones := Y15
	VPCMPEQW(ones, ones, ones)
	VPSRLW(Imm(15), ones, ones)
	b, p, cols, stride := field(int8Stored), field(int8Products), field(int8ColsAt), field(int8Blocks)
	ADDQ(Imm(7), stride) // bytes from a column's products to the next one's
	ANDQ(I8(-8), stride)
	SHLQ(Imm(2), stride)

	Label("column")
	x := int8RowAt{pa: field(int8A), ps: field(int8Scales), pb: b, pp: GP64()}
	MOVQ(p, x.pp)
	n := field(int8Blocks)
	SUBQ(Imm(8), n)
	JL(LabelRef("rest"))
	Label("eight")
	x.eight(ones)
	SUBQ(Imm(8), n)
	JGE(LabelRef("eight"))
	Label("rest")
	ADDQ(Imm(8), n)
	JZ(LabelRef("next"))
	VXORPS(Y0, Y0, Y0) // what is missing of eight adds nothing
	VMOVUPS(Y0, Mem{Base: x.pp})
	Label("one")
	x.one(ones)
	DECQ(n)
	JNZ(LabelRef("one"))
	Label("next")
	ADDQ(stride, p)
	DECQ(cols)
	JNZ(LabelRef("column"))
	int8RowSum(field(int8Products), stride, Y0)
	int8Finish(func(what string) string { return what }, t, []VecPhysical{Y0})
	VZEROUPPER()
	RET()
}

// int8RowAt is where int8Row reads and writes.
type int8RowAt struct{ pa, ps, pb, pp Register }

// next moves on by some blocks.
func (x int8RowAt) next(blocks int) {
	ADDQ(U32(uint32(int8Block*blocks)), x.pa)
	ADDQ(Imm(uint64(4*blocks)), x.ps)
	ADDQ(U32(uint32(int8BlockStored*blocks)), x.pb)
	ADDQ(Imm(uint64(4*blocks)), x.pp)
}

// fours makes r the sums of block i by fours of values, 32 bits each.
func (x int8RowAt) fours(i int, r, ones Op) {
	w, u := YMM(), YMM()
	VMOVDQU(Mem{Base: x.pb, Disp: int8BlockStored*i + 2}, w)
	VPABSB(w, u)
	VMOVDQU(Mem{Base: x.pa, Disp: int8Block * i}, r)
	VPSIGNB(w, r, r)
	VPMADDUBSW(r, u, r)
	VPMADDWD(ones, r, r)
}

// eight multiplies eight blocks of a column.
func (x int8RowAt) eight(ones Op) {
	for at := 0; at < 8*int8BlockStored; at += 64 {
		PREFETCHT0(Mem{Base: x.pb, Disp: int8Ahead + at})
	}
	// Two vectors become one of twice as many sums, in which neighbours belong together.
	var waits [4]VecVirtual
	for i := range 8 {
		r := YMM()
		x.fours(i, r, ones)
		level := 0
		for ; i>>level&1 == 1 && level < 2; level++ {
			VPHADDD(r, waits[level], r)
		}
		if level == 2 && i == 7 {
			lo := YMM()
			VPERM2I128(Imm(0x20), r, waits[2], lo)
			VPERM2I128(Imm(0x31), r, waits[2], r)
			VPADDD(lo, r, r)
		}
		waits[level] = r
	}
	sums, d, scale := waits[2], XMM(), YMM()
	VCVTDQ2PS(sums, sums)
	VPXOR(d, d, d)
	for i := range 8 {
		VPINSRW(Imm(uint64(i)), Mem{Base: x.pb, Disp: int8BlockStored * i}, d, d)
	}
	VCVTPH2PS(d, scale)
	VMULPS(Mem{Base: x.ps}, scale, scale)
	VMULPS(scale, sums, sums)
	VMOVUPS(sums, Mem{Base: x.pp})
	x.next(8)
}

// one multiplies one block.
func (x int8RowAt) one(ones Op) {
	r, half, d := YMM(), XMM(), XMM()
	x.fours(0, r, ones)
	VEXTRACTI128(Imm(1), r, half)
	VPADDD(half, r.AsX(), r.AsX())
	VPSHUFD(Imm(0x4e), r.AsX(), half)
	VPADDD(half, r.AsX(), r.AsX())
	VPSHUFD(Imm(0xb1), r.AsX(), half)
	VPADDD(half, r.AsX(), r.AsX())
	VCVTDQ2PS(r.AsX(), r.AsX())
	VPBROADCASTW(Mem{Base: x.pb}, d)
	VCVTPH2PS(d, d)
	VMULSS(Mem{Base: x.ps}, d, d)
	VMULSS(d, r.AsX(), r.AsX())
	VMOVSS(r.AsX(), Mem{Base: x.pp})
	x.next(1)
}

// int8RowSum makes sums those of the eight rows of products, stride bytes apart.
func int8RowSum(products, stride Register, sums VecPhysical) {
	from, third, n := [2]Register{products, GP64()}, GP64(), GP64()
	LEAQ(Mem{Base: products, Index: stride, Scale: 4}, from[1])
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, third)
	MOVQ(stride, n)
	VXORPS(sums, sums, sums)
	Label("sum")
	for half := range 2 {
		var x [4]VecVirtual
		for j := range x {
			at := func(p Register) Mem {
				m := Mem{Base: p, Disp: 16 * half}
				switch j {
				case 1, 2:
					m.Index, m.Scale = stride, uint8(j)
				case 3:
					m.Index, m.Scale = third, 1
				}
				return m
			}
			x[j] = YMM()
			VMOVUPS(at(from[0]), x[j].AsX())
			VINSERTF128(Imm(1), at(from[1]), x[j], x[j])
		}
		for _, y := range turnFours(x) {
			VADDPS(y, sums, sums)
		}
	}
	for _, p := range from {
		ADDQ(Imm(32), p)
	}
	SUBQ(Imm(32), n)
	JNZ(LabelRef("sum"))
}
