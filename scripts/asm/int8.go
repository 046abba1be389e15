package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.int8Tile, in bytes; TestInt8Layout of pkg/kernel holds them.
const (
	int8A, int8Scales, int8B   = 0, 24, 48
	int8C, int8Init, int8Bias  = 72, 96, 120
	int8Blocks, int8RowsAt     = 144, 152
	int8Cols, int8CS, int8IS   = 160, 168, 176
	int8BS                     = 184
	int8Block, int8BlockStored = 32, 34 // values of a block, bytes of a stored one
)

// int8Dot writes the product of rows of signed bytes, up to eight of A at a time: a block
// of 32 of A times one of B becomes eight whole numbers, sums of four products each, which
// are scaled and added to eight float32 of their own. VPMADDUBSW multiplies unsigned bytes by
// signed ones: |b| by a with b's sign; two products of at most 127·128 fit its 16 bits.
func int8Dot() {
	const most = 8
	TEXT("int8Dot256", NOSPLIT, "func(t uintptr)")
	Doc("int8Dot256 multiplies up to 8 rows of blocks of signed bytes by rows of Q8.")
	t := Load(Param("t"), GP64()).(GPVirtual)
	field := func(at int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		return r
	}
	b, c, init, bias, cols := field(int8B), field(int8C), field(int8Init), field(int8Bias), field(int8Cols)
	ones, u, w, d := Y15, Y14, Y13, Y12
	VPCMPEQW(ones, ones, ones)
	VPSRLW(Imm(15), ones, ones)
	rows := field(int8RowsAt)
	for m := most; m > 1; m-- {
		CMPQ(rows, Imm(uint64(m)))
		JEQ(LabelRef(fmt.Sprintf("m%d", m)))
	}
	for m := 1; m <= most; m++ {
		label := func(what string) string { return fmt.Sprintf("m%d%s", m, what) }
		acc, x, s := avx2.regs[:m], [2]VecPhysical{Y8, Y9}, [2]VecPhysical{Y10, Y11}
		Label(label(""))
		pa, ps, pb, n := field(int8A), field(int8Scales), GP64(), field(int8Blocks)
		MOVQ(b, pb)
		for _, r := range acc {
			VXORPS(r, r, r)
		}
		Label(label("block"))
		PREFETCHT0(Mem{Base: pb, Disp: skinnyAhead})
		VMOVDQU(Mem{Base: pb, Disp: 2}, w)
		VPABSB(w, u)
		VPBROADCASTW(Mem{Base: pb}, d.AsX())
		VCVTPH2PS(d.AsX(), d)
		for i := range m {
			x, s := x[i%2], s[i%2]
			VMOVDQU(Mem{Base: pa, Disp: int8Block * i}, x)
			VPSIGNB(w, x, x)
			VPMADDUBSW(x, u, x)
			VPMADDWD(ones, x, x)
			VCVTDQ2PS(x, x)
			VBROADCASTSS(Mem{Base: ps, Disp: 4 * i}, s)
			VMULPS(d, s, s)
			VMULPS(s, x, x)
			VADDPS(x, acc[i], acc[i])
		}
		ADDQ(Imm(int8BlockStored), pb)
		ADDQ(U32(uint32(int8Block*m)), pa)
		ADDQ(Imm(uint64(4*m)), ps)
		DECQ(n)
		JNZ(LabelRef(label("block")))
		int8Finish(label, t, acc, c, init, bias)
		ADDQ(Mem{Base: t, Disp: int8BS}, b)
		DECQ(cols)
		JNZ(LabelRef(label("")))
		VZEROUPPER()
		RET()
	}
}

// int8Finish adds the lanes of every row's sums up, adds init and bias and stores a column.
func int8Finish(label func(string) string, t Register, acc []VecPhysical, c, init, bias Register) {
	h := X8
	for _, r := range acc {
		VEXTRACTF128(Imm(1), r, h)
		VADDPS(h, r.AsX(), r.AsX())
		VPERMILPS(Imm(0x4e), r.AsX(), h)
		VADDPS(h, r.AsX(), r.AsX())
		VPERMILPS(Imm(0xb1), r.AsX(), h)
		VADDPS(h, r.AsX(), r.AsX())
	}
	row, stride := GP64(), GP64()
	TESTQ(init, init)
	JZ(LabelRef(label("bias")))
	MOVQ(init, row)
	MOVQ(Mem{Base: t, Disp: int8IS}, stride)
	for _, r := range acc {
		VADDSS(Mem{Base: row}, r.AsX(), r.AsX())
		LEAQ(Mem{Base: row, Index: stride, Scale: 4}, row)
	}
	ADDQ(Imm(4), init)
	Label(label("bias"))
	TESTQ(bias, bias)
	JZ(LabelRef(label("store")))
	for _, r := range acc {
		VADDSS(Mem{Base: bias}, r.AsX(), r.AsX())
	}
	ADDQ(Imm(4), bias)
	Label(label("store"))
	MOVQ(c, row)
	MOVQ(Mem{Base: t, Disp: int8CS}, stride)
	for _, r := range acc {
		VMOVSS(r.AsX(), Mem{Base: row})
		LEAQ(Mem{Base: row, Index: stride, Scale: 4}, row)
	}
	ADDQ(Imm(4), c)
}
