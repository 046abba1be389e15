package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelRows is how many rows of A are in a panel, and a group of its values apart.
const panelRows = 16

// panelColumns writes the kernel of kernel.panelForm.columns: the t.rows rows of a panel, in groups of up to
// mr, by two vectors of columns of a B of bfloat16. The first group takes B as it lies, bs values from row to
// row: of a vector the odd columns are float32s once the even ones, their lower halves, are masked out, the even
// ones once they are shifted there. It writes both to t.sums, from where the other groups take them, and all
// groups where t.bf16 is nil. Every eight values a group fetches two lines of a row, from
// t.next on, as far apart; a single group of two rows. The sums' columns are put in order at the end. init's rows are as far apart as C's.
func panelColumns(name string, s isa) {
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(fmt.Sprintf("%s multiplies up to %d rows of a panel by %d columns.", name, panelRows, 2*s.lanes))
	c := columnTile{isa: s, t: Load(Param("t"), GP64()).(GPVirtual)}
	for _, r := range []*GPVirtual{&c.a, &c.c, &c.cs, &c.rows, &c.from, &c.bs, &c.later} {
		*r = GP64()
	}
	c.get(tileA, c.a)
	c.get(tileC, c.c)
	c.get(tileCS, c.cs)
	SHLQ(Imm(2), c.cs)
	c.get(tileRows, c.rows)
	c.get(tileBits16, c.from)
	c.get(tileNext, c.later)
	c.get(tileBS, c.bs)
	ADDQ(c.bs, c.bs)
	high := GP32()
	MOVL(U32(0xffff0000), high)
	VMOVD(high, s.temps[1].AsX())
	VPBROADCASTD(s.temps[1].AsX(), s.temps[1])
	c.split()
	for c.m = 1; c.m <= s.mr; c.m++ {
		Label(c.label(""))
		for i := range 2 * c.m {
			c.zero(c.regs[i])
		}
		c.k = GP64()
		c.get(tileK, c.k)
		TESTQ(c.from, c.from)
		JZ(LabelRef(c.label("wide")))
		c.sumRaw()
		JMP(LabelRef(c.label("order")))
		Label(c.label("wide"))
		c.sumWide()
		Label(c.label("order"))
		c.order()
		c.finish()
		SUBQ(Imm(uint64(c.m)), c.rows)
		JG(LabelRef("group"))
		VZEROUPPER()
		RET()
	}
}

// columnTile is the kernel, and the part for m rows: the sums of row i are registers 2·i, of the even
// columns, and 2·i + 1.
type columnTile struct {
	isa
	t, a, c, cs, rows, from, bs, k, later GPVirtual
	m                                     int
}

func (c columnTile) get(field int, r Register) { MOVQ(Mem{Base: c.t, Disp: field}, r) }

func (c columnTile) label(what string) string { return fmt.Sprintf("m%d%s", c.m, what) }

func (c columnTile) acc(i, v int) VecPhysical { return c.regs[2*i+v] }

// split jumps to the part for the next group of rows, where those that are left are in groups as equal as
// possible: of 13 to 16 rows five or six.
func (c columnTile) split() {
	m := GP64()
	Label("group")
	MOVQ(c.rows, m)
	CMPQ(c.rows, Imm(uint64(c.mr)))
	JLE(LabelRef("one"))
	CMPQ(c.rows, Imm(uint64(2*c.mr)))
	JLE(LabelRef("two"))
	MOVL(U32(uint32(c.mr-1)), m.As32())
	CMPQ(c.rows, Imm(panelRows))
	JNE(LabelRef("one"))
	INCQ(m)
	JMP(LabelRef("one"))
	Label("two")
	INCQ(m)
	SHRQ(Imm(1), m)
	Label("one")
	for n := c.mr; n > 1; n-- {
		CMPQ(m, Imm(uint64(n)))
		JEQ(LabelRef(fmt.Sprintf("m%d", n)))
	}
}

// sumRaw adds up over the inner index by B as it is stored, and then there is none of it.
func (c columnTile) sumRaw() {
	const unroll = 8
	even, odd, mask := c.b[0], c.b[1], c.temps[1]
	to := GP64()
	c.get(tileSums, to)
	atB, pointers := rowsAt(c.from, c.bs, unroll)
	c.loops("raw", unroll, func(u int) {
		VMOVUPS(atB(u), odd)
		VPSLLD(Imm(16), odd, even)
		VPAND(mask, odd, odd)
		VMOVUPS(even, Mem{Base: to, Disp: 4 * c.lanes * (2 * u)})
		VMOVUPS(odd, Mem{Base: to, Disp: 4 * c.lanes * (2*u + 1)})
		c.step(u)
	}, func(n int) {
		if n > 1 {
			c.fetch()
			CMPQ(c.rows, Imm(uint64(c.mr)))
			JG(LabelRef(c.label("fetched")))
			c.fetch() // there is no other group
			Label(c.label("fetched"))
		}
		for _, p := range pointers {
			LEAQ(Mem{Base: p, Index: c.bs, Scale: uint8(n)}, p)
		}
		ADDQ(U32(uint32(8*c.lanes*n)), to)
	})
	XORL(c.from.As32(), c.from.As32())
}

// sumWide adds up over the inner index by what sumRaw wrote.
func (c columnTile) sumWide() {
	piece := GP64()
	c.get(tileSums, piece)
	c.loops("", 8, func(u int) {
		for v := range 2 {
			VMOVUPS(Mem{Base: piece, Disp: 4 * c.lanes * (2*u + v)}, c.b[v])
		}
		c.step(u)
	}, func(n int) {
		if n > 1 {
			c.fetch()
		}
		ADDQ(U32(uint32(8*c.lanes*n)), piece)
	})
}

// fetch fetches two lines of a row that is wanted later.
func (c columnTile) fetch() {
	PREFETCHT1(Mem{Base: c.later})
	PREFETCHT1(Mem{Base: c.later, Disp: 64})
	ADDQ(c.bs, c.later)
}

// step multiplies the rows' value u by two vectors.
func (c columnTile) step(u int) {
	for i := range c.m {
		VBROADCASTSS(Mem{Base: c.a, Disp: 4 * (panelRows*u + i)}, c.temps[0])
		for v := range 2 {
			VFMADD231PS(c.b[v], c.temps[0], c.acc(i, v))
		}
	}
}

// loops takes some values at a time and then one, and leaves A where it was.
func (c columnTile) loops(name string, unroll int, step, forward func(n int)) {
	for _, n := range []int{unroll, 1} {
		label := c.label(fmt.Sprint(name, "by", n))
		SUBQ(Imm(uint64(n)), c.k)
		JL(LabelRef(label + "end"))
		Label(label)
		for u := range n {
			step(u)
		}
		ADDQ(U32(uint32(4*panelRows*n)), c.a)
		forward(n)
		SUBQ(Imm(uint64(n)), c.k)
		JGE(LabelRef(label))
		Label(label + "end")
		ADDQ(Imm(uint64(n)), c.k)
	}
	c.get(tileK, c.k)
	SHLQ(Imm(6), c.k) // 4·panelRows bytes a value
	SUBQ(c.k, c.a)
}

// order puts columns 0 to lanes-1 of every row in its first register and the others in its second.
func (c columnTile) order() {
	lo, hi := c.temps[0], c.b[0]
	for i := range c.m {
		VUNPCKLPS(c.acc(i, 1), c.acc(i, 0), lo)
		VUNPCKHPS(c.acc(i, 1), c.acc(i, 0), hi)
		VPERM2F128(Imm(0x20), hi, lo, c.acc(i, 0))
		VPERM2F128(Imm(0x31), hi, lo, c.acc(i, 1))
	}
}

// finish adds init and bias, where they are, stores, and goes on to the rows after these.
func (c columnTile) finish() {
	init, bias := GP64(), GP64()
	each := func(p, stride Register, f func(sum VecPhysical, at Mem)) {
		for i := range c.m {
			for v := range 2 {
				f(c.acc(i, v), Mem{Base: p, Disp: 4 * c.lanes * v})
			}
			if stride != nil {
				ADDQ(stride, p)
			}
		}
	}
	add := func(sum VecPhysical, at Mem) { VADDPS(at, sum, sum) }
	c.get(tileInit, init)
	TESTQ(init, init)
	JZ(LabelRef(c.label("bias")))
	SUBQ(Mem{Base: c.t, Disp: tileC}, init)
	ADDQ(c.c, init)
	each(init, c.cs, add)
	Label(c.label("bias"))
	c.get(tileBias, bias)
	TESTQ(bias, bias)
	JZ(LabelRef(c.label("store")))
	each(bias, nil, add)
	Label(c.label("store"))
	each(c.c, c.cs, func(sum VecPhysical, at Mem) { VMOVUPS(sum, at) })
	ADDQ(Imm(uint64(4*c.m)), c.a)
}
