package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelRows is how many rows of A are in a panel, and a group of its values apart.
const panelRows = 16

// panelColumns writes the kernel of kernel.panelForm.columns: up to mr rows of a panel by two
// vectors of columns of a B of bfloat16. A vector of B is read once for both: its odd columns
// are float32s once the even ones, their lower halves, are masked out, the even ones once they
// are shifted there. The sums' columns are put in order at the end.
func panelColumns(name string, s isa) {
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(fmt.Sprintf("%s multiplies up to %d rows of a panel by %d columns.", name, s.mr, 2*s.lanes))
	t, rows := Load(Param("t"), GP64()).(GPVirtual), GP64()
	MOVQ(Mem{Base: t, Disp: tileRows}, rows)
	high := GP32()
	MOVL(U32(0xffff0000), high)
	VMOVD(high, s.regs[15].AsX())
	VPBROADCASTD(s.regs[15].AsX(), s.regs[15])
	for m := s.mr; m > 1; m-- {
		CMPQ(rows, Imm(uint64(m)))
		JEQ(LabelRef(fmt.Sprintf("m%d", m)))
	}
	for m := 1; m <= s.mr; m++ {
		c := columnTile{isa: s, m: m}
		Label(c.label(""))
		c.x = skinnyFields(t, 2)
		c.sum()
		c.order()
		c.finish()
		VZEROUPPER()
		RET()
	}
}

// columnTile is the part of the kernel for m rows: the sums of row i are registers 2·i, of the even
// columns, and 2·i + 1.
type columnTile struct {
	isa
	x skinnyArgs
	m int
}

func (c columnTile) label(what string) string { return fmt.Sprintf("m%d%s", c.m, what) }

func (c columnTile) acc(i, v int) VecPhysical { return c.regs[2*i+v] }

// sum adds up over the inner index. Every few values two lines of a row that is read later are fetched.
func (c columnTile) sum() {
	const unroll = 8
	x, even, odd, from, mask := c.x, c.b[0], c.b[1], c.temps[0], c.temps[1]
	next, ns := GP64(), GP64()
	MOVQ(Mem{Base: x.t, Disp: tileNext}, next)
	MOVQ(Mem{Base: x.t, Disp: tileNS}, ns)
	ADDQ(ns, ns)
	atB, pb := rowsAt(x.b, x.bs, unroll)
	for i := range 2 * c.m {
		c.zero(c.regs[i])
	}
	step := func(u int) {
		VMOVUPS(atB(u), odd)
		VPSLLD(Imm(16), odd, even)
		VPAND(mask, odd, odd)
		for i := range c.m {
			VBROADCASTSS(Mem{Base: x.a, Disp: 4 * (panelRows*u + i)}, from)
			VFMADD231PS(even, from, c.acc(i, 0))
			VFMADD231PS(odd, from, c.acc(i, 1))
		}
	}
	loop := func(name string, n int) {
		SUBQ(Imm(uint64(n)), x.k)
		JL(LabelRef(c.label(name + "end")))
		Label(c.label(name))
		if n > 1 {
			PREFETCHT0(Mem{Base: next})
			PREFETCHT0(Mem{Base: next, Disp: 64})
			ADDQ(ns, next)
		}
		for u := range n {
			step(u)
		}
		ADDQ(U32(uint32(4*panelRows*n)), x.a)
		for _, p := range pb {
			LEAQ(Mem{Base: p, Index: x.bs, Scale: uint8(n)}, p)
		}
		SUBQ(Imm(uint64(n)), x.k)
		JGE(LabelRef(c.label(name)))
		Label(c.label(name + "end"))
		ADDQ(Imm(uint64(n)), x.k)
	}
	loop("many", unroll)
	loop("one", 1)
}

// order puts columns 0 to lanes-1 of every row in its first register and the others in its second.
func (c columnTile) order() {
	lo, hi := c.temps[0], c.temps[1]
	for i := range c.m {
		VUNPCKLPS(c.acc(i, 1), c.acc(i, 0), lo)
		VUNPCKHPS(c.acc(i, 1), c.acc(i, 0), hi)
		VPERM2F128(Imm(0x20), hi, lo, c.acc(i, 0))
		VPERM2F128(Imm(0x31), hi, lo, c.acc(i, 1))
	}
}

// finish adds init and bias, where they are, and stores.
func (c columnTile) finish() {
	x, init, bias, is := c.x, GP64(), GP64(), GP64()
	each := func(p, stride Register, f func(sum VecPhysical, at Mem)) {
		for i := range c.m {
			for v := range 2 {
				f(c.acc(i, v), Mem{Base: p, Disp: 4 * c.lanes * v})
			}
			if stride != nil && i < c.m-1 {
				ADDQ(stride, p)
			}
		}
	}
	add := func(sum VecPhysical, at Mem) { VADDPS(at, sum, sum) }
	MOVQ(Mem{Base: x.t, Disp: tileInit}, init)
	MOVQ(Mem{Base: x.t, Disp: tileBias}, bias)
	TESTQ(init, init)
	JZ(LabelRef(c.label("bias")))
	MOVQ(Mem{Base: x.t, Disp: tileIS}, is)
	SHLQ(Imm(2), is)
	each(init, is, add)
	Label(c.label("bias"))
	TESTQ(bias, bias)
	JZ(LabelRef(c.label("store")))
	each(bias, nil, add)
	Label(c.label("store"))
	each(x.c, x.cs, func(sum VecPhysical, at Mem) { VMOVUPS(sum, at) })
}
