package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelCols is how many rows of B a panel's tile takes.
const panelCols = 6

// panel writes the kernel of kernel.panelForm: a panel of two vectors of A's rows by up to
// panelCols rows of B, of which one value at a time is broadcast. A bfloat16 is the upper
// half of the float32 whose lower half is the value before it: four bytes are read from
// there and shifted, which only the last value of a row, with nothing behind it, cannot be.
func panel(name string, s isa, size int) {
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(fmt.Sprintf("%s multiplies %d rows in a panel by up to %d rows of B.", name, 2*s.lanes, panelCols))
	t, cols := Load(Param("t"), GP64()), GP64()
	MOVQ(Mem{Base: t, Disp: tileCols}, cols)
	for n := panelCols; n > 1; n-- {
		CMPQ(cols, Imm(uint64(n)))
		JEQ(LabelRef(fmt.Sprintf("c%d", n)))
	}
	for n := 1; n <= panelCols; n++ {
		panelLoop(s, t, size, n)
	}
}

func panelLoop(s isa, t Register, size, n int) {
	label := func(what string) string { return fmt.Sprintf("c%d%s", n, what) }
	acc := func(j, v int) VecPhysical { return s.regs[2*j+v] }
	Label(label(""))
	x := skinnyFields(t.(GPVirtual), size)
	atB, pb := rowsAt(x.b, x.bs, n)
	next := GP64()
	IMUL3Q(Imm(panelCols), x.bs, next)
	ADDQ(x.b, next)
	atNext, pn := rowsAt(next, x.bs, n)
	each := func(f func(r VecPhysical, at Mem)) {
		for j := range n {
			for v := range 2 {
				f(acc(j, v), Mem{Base: x.c, Disp: 4 * s.lanes * (2*j + v)})
			}
		}
	}
	each(func(r VecPhysical, _ Mem) { s.zero(r) })
	init := GP64()
	MOVQ(Mem{Base: t, Disp: tileInit}, init)
	TESTQ(init, init)
	JZ(LabelRef(label("sum")))
	each(func(r VecPhysical, at Mem) { VMOVUPS(at, r) })
	Label(label("sum"))

	// step adds value u from here on.
	step := func(u int, value func(j int, to VecPhysical)) {
		for v := range 2 {
			VMOVUPS(Mem{Base: x.a, Disp: 4 * s.lanes * (2*u + v)}, s.b[v])
		}
		for j := range n {
			b := s.temps[j%len(s.temps)]
			value(j, b)
			for v := range 2 {
				VFMADD231PS(s.b[v], b, acc(j, v))
			}
		}
	}
	whole := func(u int) func(j int, to VecPhysical) {
		return func(j int, to VecPhysical) {
			VBROADCASTSS(atB(j).Offset(size*u), to)
			if size == 2 {
				VPSLLD(Imm(16), to, to)
			}
		}
	}
	forward := func(u int) {
		ADDQ(U32(uint32(8*s.lanes*u)), x.a)
		for _, p := range append(pb, pn...) {
			ADDQ(Imm(uint64(size*u)), p)
		}
	}
	const unroll = 8
	k, last := x.k, 0
	if size == 2 {
		last = 1
	}
	SUBQ(Imm(uint64(unroll+last)), k)
	JL(LabelRef(label("rest")))
	Label(label("loop"))
	for j := range n {
		PREFETCHT0(atNext(j))
	}
	for u := range unroll {
		step(u, whole(u))
	}
	forward(unroll)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef(label("loop")))
	Label(label("rest"))
	ADDQ(Imm(unroll), k)
	JZ(LabelRef(label("last")))
	Label(label("one"))
	step(0, whole(0))
	forward(1)
	DECQ(k)
	JNZ(LabelRef(label("one")))
	Label(label("last"))
	if size == 2 {
		step(0, func(j int, to VecPhysical) {
			word := GP32()
			MOVWLZX(atB(j), word)
			SHLL(Imm(16), word)
			VMOVD(word, to.AsX())
			VBROADCASTSS(to.AsX(), to)
		})
	}
	each(func(r VecPhysical, at Mem) { VMOVUPS(r, at) })
	VZEROUPPER()
	RET()
}
