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
	int8BScales, int8C         = 72, 96
	int8Init, int8Bias         = 120, 144
	int8Blocks, int8RowsAt     = 168, 176
	int8ColsAt                 = 184
	int8CS, int8IS             = 192, 200
	int8Stored, int8Products   = 208, 232
	int8Block, int8BlockStored = 32, 34 // values of a block, bytes of a stored one
	int8Cols                   = 8
)

// int8Turn writes the turning of eight columns of Q8, four values at a time, see
// kernel.int8TurnPortable. A vector takes 16 bytes of column j and 16 of column j+4, so that
// both halves are turned by the same steps. Missing columns are the last one once more.
func int8Turn() {
	TEXT("int8Turn256", NOSPLIT, "func(to []byte, scales []float32, from []byte, cols, stride int)")
	Doc("int8Turn256 turns up to 8 columns of Q8.")
	to, scales, n := Load(Param("to").Base(), GP64()), Load(Param("scales").Base(), GP64()), Load(Param("scales").Len(), GP64())
	SHRQ(Imm(3), n)
	var from [int8Cols]Register
	from[0] = Load(Param("from").Base(), GP64())
	cols, stride := Load(Param("cols"), GP64()), Load(Param("stride"), GP64())
	for j := 1; j < int8Cols; j++ {
		p := GP64()
		LEAQ(Mem{Base: from[j-1], Index: stride, Scale: 1}, p)
		CMPQ(cols, Imm(uint64(j)))
		CMOVQLE(from[j-1], p)
		from[j] = p
	}
	next := GP64() // the eight columns after these, as one stream
	LEAQ(Mem{Base: from[0], Index: stride, Scale: 8}, next)
	Label("block")
	for at := 0; at < int8BlockStored*int8Cols; at += 64 {
		PREFETCHT0(Mem{Base: next, Disp: at})
	}
	ADDQ(U32(int8BlockStored*int8Cols), next)
	d := XMM()
	VPXOR(d, d, d)
	for j, p := range from {
		VPINSRW(Imm(uint64(j)), Mem{Base: p}, d, d)
	}
	f := YMM()
	VCVTPH2PS(d, f)
	VMOVUPS(f, Mem{Base: scales})
	for half := range 2 {
		var x [4]VecVirtual
		for j := range x {
			x[j] = YMM()
			VMOVDQU(Mem{Base: from[j], Disp: 2 + 16*half}, x[j].AsX())
			VINSERTI128(Imm(1), Mem{Base: from[j+4], Disp: 2 + 16*half}, x[j], x[j])
		}
		for f, y := range turnFours(x) {
			VMOVDQU(y, Mem{Base: to, Disp: 32 * (4*half + f)})
		}
	}
	for _, p := range from {
		ADDQ(Imm(int8BlockStored), p)
	}
	ADDQ(U32(int8Block*int8Cols), to)
	ADDQ(Imm(4*int8Cols), scales)
	DECQ(n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// turnFours turns numbers of 32 bits: vector i of the result has number i of each x, in both
// halves.
func turnFours(x [4]VecVirtual) (y [4]VecVirtual) {
	var pairs [4]VecVirtual // of x[0] and x[1], and of x[2] and x[3]: the first two numbers, and the other two
	for i := range pairs {
		pairs[i], y[i] = YMM(), YMM()
	}
	VPUNPCKLDQ(x[1], x[0], pairs[0])
	VPUNPCKHDQ(x[1], x[0], pairs[1])
	VPUNPCKLDQ(x[3], x[2], pairs[2])
	VPUNPCKHDQ(x[3], x[2], pairs[3])
	for f := range 4 {
		if f%2 == 0 {
			VPUNPCKLQDQ(pairs[f/2+2], pairs[f/2], y[f])
		} else {
			VPUNPCKHQDQ(pairs[f/2+2], pairs[f/2], y[f])
		}
	}
	return y
}

// int8Form is one way to multiply bytes: constants that stay in registers, and a block of values
// of some rows by the turned columns, whose sums become those of whole.
type int8Form struct {
	constants func()
	block     func(pa, pb Register, whole []VecPhysical)
}

// int8Mul writes the product of up to four rows of signed bytes by eight turned columns, see
// kernel.int8MulPortable.
func int8Mul(name string, form int8Form) {
	const most = 4
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(name + " multiplies up to 4 rows of blocks of signed bytes by 8 turned columns.")
	t := Load(Param("t"), GP64()).(GPVirtual)
	field := func(at int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		return r
	}
	form.constants()
	rows := field(int8RowsAt)
	for m := most; m > 1; m-- {
		CMPQ(rows, Imm(uint64(m)))
		JEQ(LabelRef(fmt.Sprintf("m%d", m)))
	}
	for m := 1; m <= most; m++ {
		label := func(what string) string { return fmt.Sprintf("m%d%s", m, what) }
		sums, whole, x := avx2.regs[:m], avx2.regs[4:4+m], avx2.regs[8:12]
		Label(label(""))
		pa, ps, pb, pd, n := field(int8A), field(int8Scales), field(int8B), field(int8BScales), field(int8Blocks)
		for _, r := range sums {
			VXORPS(r, r, r)
		}
		Label(label("block"))
		form.block(pa, pb, whole)
		w := Y13
		VMOVUPS(Mem{Base: pd}, w)
		for i := range m {
			VCVTDQ2PS(whole[i], whole[i])
			VBROADCASTSS(Mem{Base: ps, Disp: 4 * i}, x[i])
			VMULPS(w, x[i], x[i])
			VMULPS(x[i], whole[i], whole[i])
			VADDPS(whole[i], sums[i], sums[i])
		}
		ADDQ(U32(uint32(int8Block*m)), pa)
		ADDQ(Imm(uint64(4*m)), ps)
		ADDQ(U32(int8Block*int8Cols), pb)
		ADDQ(Imm(4*int8Cols), pd)
		DECQ(n)
		JNZ(LabelRef(label("block")))
		int8Finish(label, t, sums)
		VZEROUPPER()
		RET()
	}
}

// int8Finish adds init and bias to every row's sums and stores them.
func int8Finish(label func(string) string, t Register, sums []VecPhysical) {
	each := func(at, stride int, f func(r VecPhysical, m Mem)) {
		row, by := GP64(), GP64()
		MOVQ(Mem{Base: t, Disp: at}, row)
		if at == int8Init {
			TESTQ(row, row)
			JZ(LabelRef(label("bias")))
		}
		MOVQ(Mem{Base: t, Disp: stride}, by)
		for _, r := range sums {
			f(r, Mem{Base: row})
			LEAQ(Mem{Base: row, Index: by, Scale: 4}, row)
		}
	}
	each(int8Init, int8IS, func(r VecPhysical, m Mem) { VADDPS(m, r, r) })
	Label(label("bias"))
	bias := GP64()
	MOVQ(Mem{Base: t, Disp: int8Bias}, bias)
	TESTQ(bias, bias)
	JZ(LabelRef(label("store")))
	for _, r := range sums {
		VADDPS(Mem{Base: bias}, r, r)
	}
	Label(label("store"))
	each(int8C, int8CS, func(r VecPhysical, m Mem) { VMOVUPS(r, m) })
}
