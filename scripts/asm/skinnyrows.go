package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// skinnyRows writes the kernel for a B whose columns are contiguous: vecs[m-1]
// vectors of columns, or one, of which cols count, of the product of m rows. With
// bfloat16 in AVX2 all of its columns must be there.
func skinnyRows(name string, s isa, size int, vecs []int) {
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(fmt.Sprintf("%s multiplies up to %d rows by a strip of columns.", name, len(vecs)))
	x := loadSkinny(size)
	rows, cols := GP64(), GP64()
	MOVQ(Mem{Base: x.t, Disp: tileRows}, rows)
	MOVQ(Mem{Base: x.t, Disp: tileCols}, cols)
	CMPQ(cols, Imm(uint64(s.lanes)))
	JLE(LabelRef("narrow"))
	for _, wide := range []bool{true, false} {
		name := "wide"
		if !wide {
			name = "narrow"
			Label(name)
		}
		for m := len(vecs); m > 1; m-- {
			CMPQ(rows, Imm(uint64(m)))
			JEQ(LabelRef(fmt.Sprintf("%s%d", name, m)))
		}
		for m := 1; m <= len(vecs); m++ {
			n := 1
			if wide {
				n = vecs[m-1]
			}
			label := func(what string) string { return fmt.Sprintf("%s%d%s", name, m, what) }
			acc := func(i, v int) VecPhysical { return s.regs[i*n+v] }
			free := s.regs[m*n:]
			fromB := free[len(free)-1]
			Label(label(""))
			if !wide {
				s.mask(1, cols, 0)
			}
			for i := range m * n {
				s.zero(s.regs[i])
			}
			atA, pa := rowsAt(x.a, x.as, m)
			next := GP64()
			LEAQ(Mem{Base: x.b, Index: x.bs, Scale: 8}, next)
			TESTQ(x.k, x.k)
			JZ(LabelRef(label("sum")))
			Label(label("loop"))
			part := !wide && (size == 4 || s.lanes == 16)
			zipped := wide && n == 2 && size == 2 && s.lanes == 8 // the even columns, then the odd ones
			load := func(v int, to VecPhysical) {
				at := size * s.lanes * v
				value(s, size, Mem{Base: x.b, Disp: at}, to, part)
				if at%64 == 0 {
					PREFETCHT0(Mem{Base: next, Disp: at})
				}
			}
			if zipped {
				VMOVUPS(Mem{Base: x.b}, free[1])
				PREFETCHT0(Mem{Base: next})
				VPSLLD(Imm(16), free[1], free[0])
				VPSRLD(Imm(16), free[1], free[1])
				VPSLLD(Imm(16), free[1], free[1])
				for i := range m {
					VBROADCASTSS(atA(i), fromB)
					for v := range n {
						VFMADD231PS(free[v], fromB, acc(i, v))
					}
				}
			} else if len(free) > m { // A's values stay in registers, else B's
				for i := range m {
					VBROADCASTSS(atA(i), free[i])
				}
				for v := range n {
					load(v, fromB)
					for i := range m {
						VFMADD231PS(fromB, free[i], acc(i, v))
					}
				}
			} else {
				for v := range n {
					load(v, free[v])
				}
				for i := range m {
					VBROADCASTSS(atA(i), fromB)
					for v := range n {
						VFMADD231PS(free[v], fromB, acc(i, v))
					}
				}
			}
			for _, p := range pa {
				ADDQ(Imm(4), p)
			}
			ADDQ(x.bs, x.b)
			ADDQ(x.bs, next)
			DECQ(x.k)
			JNZ(LabelRef(label("loop")))

			Label(label("sum"))
			if zipped {
				for i := range m {
					VUNPCKLPS(acc(i, 1), acc(i, 0), free[0])
					VUNPCKHPS(acc(i, 1), acc(i, 0), free[1])
					VPERM2F128(Imm(0x20), free[1], free[0], acc(i, 0))
					VPERM2F128(Imm(0x31), free[1], free[0], acc(i, 1))
				}
			}
			init, bias := GP64(), GP64()
			MOVQ(Mem{Base: x.t, Disp: tileInit}, init)
			MOVQ(Mem{Base: x.t, Disp: tileBias}, bias)
			at := func(p Register, v int) Mem { return Mem{Base: p, Disp: 4 * s.lanes * v} }
			TESTQ(init, init)
			JZ(LabelRef(label("bias")))
			is := GP64()
			MOVQ(Mem{Base: x.t, Disp: tileIS}, is)
			SHLQ(Imm(2), is)
			for i := range m {
				for v := range n {
					value(s, 4, at(init, v), fromB, !wide)
					VADDPS(fromB, acc(i, v), acc(i, v))
				}
				if i < m-1 {
					ADDQ(is, init)
				}
			}
			Label(label("bias"))
			TESTQ(bias, bias)
			JZ(LabelRef(label("store")))
			for v := range n {
				value(s, 4, at(bias, v), fromB, !wide)
				for i := range m {
					VADDPS(fromB, acc(i, v), acc(i, v))
				}
			}
			Label(label("store"))
			for i := range m {
				for v := range n {
					if wide {
						VMOVUPS(acc(i, v), at(x.c, v))
					} else {
						s.store(1, acc(i, v), at(x.c, v))
					}
				}
				if i < m-1 {
					ADDQ(x.cs, x.c)
				}
			}
			VZEROUPPER()
			RET()
		}
	}
}
