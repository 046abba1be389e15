package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Further fields of kernel.tile, which rowsQ8 reads.
const tileQ8, tileSums, tileSumsStride, tilePart = 208, 232, 256, 264

// The bits of part: sums go on from where they were left, and are left there again.
const partGoesOn, partIsLeft = 1, 2

// rowsQ8 writes the product of up to six rows of float32 by a block of columns of Q8, 32 of
// them, which are widened in registers: eight columns become whole numbers, float32, and
// are multiplied by their row's scale. Sums go along the inner index by one multiply-and-add
// after the other, as in a register tile.
func rowsQ8() {
	const most = 6
	TEXT("rowsQ8256", NOSPLIT, "func(t uintptr)")
	Doc("rowsQ8256 multiplies up to 6 rows by 32 columns of Q8.")
	t := Load(Param("t"), GP64()).(GPVirtual)
	field := func(at, shift int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		if shift > 0 {
			SHLQ(Imm(uint64(shift)), r)
		}
		return r
	}
	rows, bs, as := field(tileRows, 0), field(tileBS, 0), field(tileAS, 2)
	for m := most; m > 1; m-- {
		CMPQ(rows, Imm(uint64(m)))
		JEQ(LabelRef(fmt.Sprintf("m%d", m)))
	}
	for m := 1; m <= most; m++ {
		vecs := 4
		if m > 3 {
			vecs = 2 // half of the block, and then the other
		}
		Label(fmt.Sprintf("m%d", m))
		for half := 0; half < 4; half += vecs {
			label := func(what string) string { return fmt.Sprintf("m%d%d%s", m, half, what) }
			acc := func(i, v int) VecPhysical { return avx2.regs[i*vecs+v] }
			each := func(f func(i, v int)) {
				for i := range m {
					for v := range vecs {
						f(i, v)
					}
				}
			}
			x, from, d := [2]VecPhysical{Y12, Y13}, Y14, Y15
			at := func(p Register, v int) Mem { return Mem{Base: p, Disp: 32 * (half + v)} }

			each(func(i, v int) { VXORPS(acc(i, v), acc(i, v), acc(i, v)) })
			part := field(tilePart, 0)
			TESTQ(U32(partGoesOn), part)
			JZ(LabelRef(label("begin")))
			p, ps := field(tileSums, 0), field(tileSumsStride, 2)
			each(func(i, v int) {
				VMOVUPS(at(p, v), acc(i, v))
				if v == vecs-1 {
					ADDQ(ps, p)
				}
			})
			Label(label("begin"))
			a, b, k := field(tileA, 0), field(tileQ8, 0), field(tileK, 0)
			atA, pa := rowsAt(a, as, m)
			after := GP64() // the rows of B that come next
			MOVQ(k, after)
			IMULQ(bs, after)
			Label(label("loop"))
			if half == 0 {
				PREFETCHT0(Mem{Base: b, Index: after, Scale: 1})
			}
			VPBROADCASTW(Mem{Base: b}, d.AsX())
			VCVTPH2PS(d.AsX(), d)
			for v := 0; v < vecs; v += 2 {
				for u, x := range x {
					VPMOVSXBD(Mem{Base: b, Disp: 2 + 8*(half+v+u)}, x)
					VCVTDQ2PS(x, x)
					VMULPS(d, x, x)
				}
				for i := range m {
					VBROADCASTSS(atA(i), from)
					for u, x := range x {
						VFMADD231PS(x, from, acc(i, v+u))
					}
				}
			}
			for _, p := range pa {
				ADDQ(Imm(4), p)
			}
			ADDQ(bs, b)
			DECQ(k)
			JNZ(LabelRef(label("loop")))

			TESTQ(U32(partIsLeft), part)
			JZ(LabelRef(label("sum")))
			p, ps = field(tileSums, 0), field(tileSumsStride, 2)
			each(func(i, v int) {
				VMOVUPS(acc(i, v), at(p, v))
				if v == vecs-1 {
					ADDQ(ps, p)
				}
			})
			JMP(LabelRef(label("end")))
			Label(label("sum"))
			p = field(tileInit, 0)
			TESTQ(p, p)
			JZ(LabelRef(label("bias")))
			ps = field(tileIS, 2)
			each(func(i, v int) {
				VADDPS(at(p, v), acc(i, v), acc(i, v))
				if v == vecs-1 {
					ADDQ(ps, p)
				}
			})
			Label(label("bias"))
			p = field(tileBias, 0)
			TESTQ(p, p)
			JZ(LabelRef(label("store")))
			each(func(i, v int) { VADDPS(at(p, v), acc(i, v), acc(i, v)) })
			Label(label("store"))
			p, ps = field(tileC, 0), field(tileCS, 2)
			each(func(i, v int) {
				VMOVUPS(acc(i, v), at(p, v))
				if v == vecs-1 {
					ADDQ(ps, p)
				}
			})
			Label(label("end"))
		}
		VZEROUPPER()
		RET()
	}
}
