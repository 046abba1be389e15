package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelForm is how a panel's kernel reads B.
type panelForm struct {
	size int // bytes of a value
	cols int // rows of B at most
}

// panel writes the kernel of kernel.panelForm: a panel of two vectors of A's rows by some rows
// of B, of which one value at a time is broadcast. Two bfloat16 are read at a time, the one that is
// wanted the second: it is a float32 once the first, its lower half, is masked out. The first of
// several, before which there may be nothing, is shifted instead.
func panel(name string, s isa, f panelForm) {
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(fmt.Sprintf("%s multiplies %d rows in a panel by up to %d rows of B.", name, 2*s.lanes, f.cols))
	t, cols := Load(Param("t"), GP64()), GP64()
	MOVQ(Mem{Base: t, Disp: tileCols}, cols)
	if f.size == 2 {
		high := GP32()
		MOVL(U32(0xffff0000), high)
		VMOVD(high, s.regs[15].AsX())
		VPBROADCASTD(s.regs[15].AsX(), s.regs[15])
	}
	for n := f.cols; n > 1; n-- {
		CMPQ(cols, Imm(uint64(n)))
		JEQ(LabelRef(fmt.Sprintf("c%d", n)))
	}
	for n := 1; n <= f.cols; n++ {
		panelLoop(s, t, f, n)
	}
}

func panelLoop(s isa, t Register, f panelForm, n int) {
	label := func(what string) string { return fmt.Sprintf("c%d%s", n, what) }
	acc := func(j, v int) VecPhysical { return s.regs[2*j+v] }
	Label(label(""))
	x := skinnyFields(t.(GPVirtual), f.size)
	atB, pb := rowsAt(x.b, x.bs, n)
	next := GP64()
	MOVQ(Mem{Base: t, Disp: tileNext}, next)
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
	fromB := s.temps
	if f.size == 2 {
		fromB = s.temps[:1] // the other one is the mask
	}
	step := func(u int, value func(j int, to VecPhysical)) {
		for v := range 2 {
			VMOVUPS(Mem{Base: x.a, Disp: 4 * s.lanes * (2*u + v)}, s.b[v])
		}
		for j := range n {
			b := fromB[j%len(fromB)]
			value(j, b)
			for v := range 2 {
				VFMADD231PS(s.b[v], b, acc(j, v))
			}
		}
	}
	whole := func(u int) {
		step(u, func(j int, to VecPhysical) {
			switch {
			case f.size == 4:
				VBROADCASTSS(atB(j).Offset(4*u), to)
			case u == 0:
				VBROADCASTSS(atB(j), to)
				VPSLLD(Imm(16), to, to)
			default:
				VBROADCASTSS(atB(j).Offset(2*u-2), to)
				VPAND(s.regs[15], to, to)
			}
		})
	}
	forward := func(u int) {
		ADDQ(U32(uint32(8*s.lanes*u)), x.a)
		for _, p := range append(pb, pn...) {
			ADDQ(Imm(uint64(f.size*u)), p)
		}
	}
	k := x.k
	loop := func(name string, unroll int, fetch bool) {
		SUBQ(Imm(uint64(unroll)), k)
		JL(LabelRef(label(name + "end")))
		Label(label(name))
		if fetch {
			for j := range n {
				PREFETCHT0(atNext(j))
			}
		}
		for u := range unroll {
			whole(u)
		}
		forward(unroll)
		SUBQ(Imm(uint64(unroll)), k)
		JGE(LabelRef(label(name)))
		Label(label(name + "end"))
		ADDQ(Imm(uint64(unroll)), k)
	}
	loop("many", 32/f.size, true)
	loop("few", 4/f.size, false)
	if f.size == 2 { // a last one, with nothing behind it
		JZ(LabelRef(label("store")))
		step(0, func(j int, to VecPhysical) {
			word := GP32()
			MOVWLZX(atB(j), word)
			SHLL(Imm(16), word)
			VMOVD(word, to.AsX())
			VBROADCASTSS(to.AsX(), to)
		})
		Label(label("store"))
	}
	each(func(r VecPhysical, at Mem) { VMOVUPS(r, at) })
	VZEROUPPER()
	RET()
}
