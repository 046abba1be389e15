package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	aheadCols = 6   // rows of B
	aheadRow  = 528 // widened values from one of them to the next, kernel.aheadRow: not a multiple of a cache's size
	aheadStep = 16  // inner values at a time
)

// panelAhead writes two kernels of a panel by six rows of bfloat16. The second only widens six rows, from
// t.next to t.sums, sixteen values at a time: the even ones and the odd ones behind them. The first
// multiplies a panel by six rows that were widened so, at t.b, and does the second's work between the
// multiplications for the rows that come next.
func panelAhead(name, widen string, s isa) {
	for _, name := range []string{name, widen} {
		TEXT(name, NOSPLIT, "func(t uintptr)")
		Doc(fmt.Sprintf("%s is of %d rows of B.", name, aheadCols))
		p := newAheadTile(s)
		high := GP32()
		MOVL(U32(0xffff0000), high)
		VMOVD(high, s.temps[1].AsX())
		VPBROADCASTD(s.temps[1].AsX(), s.temps[1])
		if name == widen {
			p.loop(func(int) {})
		} else {
			p.multiply()
		}
		VZEROUPPER()
		RET()
	}
}

type aheadTile struct {
	isa
	t, a, b, c, to, k GPVirtual
	next, far         func(i int) Mem // rows that are widened, and those that are fetched
	pointers          []Register
}

func newAheadTile(s isa) aheadTile {
	p := aheadTile{isa: s, t: Load(Param("t"), GP64()).(GPVirtual)}
	field := func(at int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: p.t, Disp: at}, r)
		return r
	}
	p.a, p.b, p.c, p.to, p.k = field(tileA), field(tileB), field(tileC), field(tileSums), field(tileK)
	next, stride, far := field(tileNext), field(tileBS), GP64()
	ADDQ(stride, stride)
	IMUL3Q(Imm(aheadCols), stride, far)
	ADDQ(next, far)
	var pn, pf []Register
	p.next, pn = rowsAt(next, stride, aheadCols)
	p.far, pf = rowsAt(far, stride, aheadCols)
	p.pointers = append(pn, pf...)
	return p
}

// multiply loads the sums or zeros, multiplies and stores them.
func (p aheadTile) multiply() {
	each := func(f func(sum VecPhysical, at Mem)) {
		for i := range 2 * aheadCols {
			f(p.regs[i], Mem{Base: p.c, Disp: 4 * p.lanes * i})
		}
	}
	each(func(sum VecPhysical, _ Mem) { p.zero(sum) })
	init := GP64()
	MOVQ(Mem{Base: p.t, Disp: tileInit}, init)
	TESTQ(init, init)
	JZ(LabelRef("sum"))
	each(func(sum VecPhysical, at Mem) { VMOVUPS(at, sum) })
	Label("sum")
	p.loop(func(u int) {
		for v := range 2 {
			VMOVUPS(Mem{Base: p.a, Disp: 4 * p.lanes * (2*u + v)}, p.regs[12+v])
		}
		for j := range aheadCols {
			VBROADCASTSS(Mem{Base: p.b, Disp: 4 * (aheadRow*j + u/2 + u%2*p.lanes)}, p.temps[0])
			for v := range 2 {
				VFMADD231PS(p.regs[12+v], p.temps[0], p.regs[2*j+v])
			}
		}
	})
	each(func(sum VecPhysical, at Mem) { VMOVUPS(sum, at) })
}

// loop does each value's step and widens a row after some of them.
func (p aheadTile) loop(step func(u int)) {
	SUBQ(Imm(aheadStep), p.k)
	JL(LabelRef("end"))
	Label("loop")
	for u := range aheadStep {
		step(u)
		if j := (u - 1) / 2; u%2 == 1 && j < aheadCols {
			PREFETCHT0(p.far(j))
			VMOVUPS(p.next(j), p.temps[0])
			VPSLLD(Imm(16), p.temps[0], p.regs[12])
			VPAND(p.temps[1], p.temps[0], p.regs[13])
			VMOVUPS(p.regs[12], Mem{Base: p.to, Disp: 4 * aheadRow * j})
			VMOVUPS(p.regs[13], Mem{Base: p.to, Disp: 4 * (aheadRow*j + p.lanes)})
		}
	}
	ADDQ(U32(4*2*8*aheadStep), p.a)
	ADDQ(Imm(4*aheadStep), p.b)
	ADDQ(Imm(4*aheadStep), p.to)
	for _, r := range p.pointers {
		ADDQ(Imm(2*aheadStep), r)
	}
	SUBQ(Imm(aheadStep), p.k)
	JGE(LabelRef("loop"))
	Label("end")
}
