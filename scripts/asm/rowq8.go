package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowQ8Ahead is how many rows before they are read those of B are fetched, and rowQ8Rows how many are
// read side by side, by measurement.
const rowQ8Ahead, rowQ8Rows = 8, 2

// rowQ8 writes the product of a few values of a row by as many rows of Q8, which is added to
// sums in memory, see kernel.rowQ8Portable: 32 columns at a time, as rowsQ8 does them.
func rowQ8() {
	TEXT("rowQ8256", NOSPLIT, "func(t uintptr)")
	Doc("rowQ8256 adds the products of values and rows of Q8 to sums.")
	t := Load(Param("t"), GP64()).(GPVirtual)
	field := func(at int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		return r
	}
	a, b, bs, k := field(tileA), field(tileQ8), field(tileBS), field(tileK)
	x, from, d := YMM(), YMM(), YMM()
	acc := []VecVirtual{YMM(), YMM(), YMM(), YMM()}
	Label("rows")
	sums, n, at, rows := field(tileSums), field(tileCols), GP64(), GP64()
	MOVQ(b, at)
	MOVQ(U32(rowQ8Rows), rows)
	CMPQ(k, rows)
	CMOVQLT(k, rows)
	Label("columns")
	for v, r := range acc {
		VMOVUPS(Mem{Base: sums, Disp: 32 * v}, r)
	}
	pa, pb, left := GP64(), GP64(), GP64()
	MOVQ(a, pa)
	MOVQ(at, pb)
	MOVQ(rows, left)
	Label("row")
	PREFETCHT0(Mem{Base: pb, Index: bs, Scale: rowQ8Ahead})
	VPBROADCASTW(Mem{Base: pb}, d.AsX())
	VCVTPH2PS(d.AsX(), d)
	VBROADCASTSS(Mem{Base: pa}, from)
	for v, r := range acc {
		VPMOVSXBD(Mem{Base: pb, Disp: 2 + 8*v}, x)
		VCVTDQ2PS(x, x)
		VMULPS(d, x, x)
		VFMADD231PS(x, from, r)
	}
	ADDQ(bs, pb)
	ADDQ(Imm(4), pa)
	DECQ(left)
	JNZ(LabelRef("row"))
	for v, r := range acc {
		VMOVUPS(r, Mem{Base: sums, Disp: 32 * v})
	}
	ADDQ(Imm(int8BlockStored), at)
	ADDQ(U32(4*int8Block), sums)
	SUBQ(Imm(int8Block), n)
	JNZ(LabelRef("columns"))
	MOVQ(pa, a) // behind the rows that were read
	SUBQ(rows, k)
	IMULQ(bs, rows)
	ADDQ(rows, b)
	TESTQ(k, k)
	JNZ(LabelRef("rows"))
	VZEROUPPER()
	RET()
}
