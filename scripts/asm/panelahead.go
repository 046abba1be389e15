package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	aheadCols = 6   // rows of B in a tile
	aheadRow  = 208 // widened values from one of them to the next, kernel.aheadRow: not a multiple of a cache's size
	aheadStep = 16  // inner values at a time
)

// panelAhead writes two kernels of a panel by rows of bfloat16, six at a time. The second only widens six
// rows, from t.next to t.sums, sixteen values at a time: the even ones and the odd ones behind them. The
// first multiplies a panel by t.cols rows, of which the first six were widened so, at t.b: between the
// multiplications by six rows it widens the next six, of those from t.bf16 on and at last t.next's, to where
// the six before them were. It fetches the six that come then, and as many values from t.far on for much later.
func panelAhead(name, widen string, s isa) {
	for _, name := range []string{name, widen} {
		TEXT(name, NOSPLIT, "func(t uintptr)")
		Doc(fmt.Sprintf("%s takes %d rows of B at a time.", name, aheadCols))
		p := newAheadTile(s)
		high := GP32()
		MOVL(U32(0xffff0000), high)
		VMOVD(high, s.temps[1].AsX())
		VPBROADCASTD(s.temps[1].AsX(), s.temps[1])
		if name == widen {
			p.get(tileNext, p.next)
			p.rows()
			LEAQ(Mem{Base: p.next, Index: p.six, Scale: 1}, p.far)
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
	next, next3       GPVirtual // rows that are widened, and the fourth of them
	far, far3         GPVirtual // those that are fetched
	later             GPVirtual
	stride, six       GPVirtual // bytes from row to row, and from six rows to the next six
}

func newAheadTile(s isa) aheadTile {
	p := aheadTile{isa: s, t: Load(Param("t"), GP64()).(GPVirtual)}
	for _, r := range []*GPVirtual{&p.a, &p.b, &p.c, &p.to, &p.k, &p.next, &p.next3, &p.far, &p.far3, &p.stride, &p.six, &p.later} {
		*r = GP64()
	}
	p.get(tileSums, p.to)
	p.get(tileFar, p.later)
	p.get(tileBS, p.stride)
	ADDQ(p.stride, p.stride)
	IMUL3Q(Imm(aheadCols), p.stride, p.six)
	return p
}

func (p aheadTile) get(field int, r Register) { MOVQ(Mem{Base: p.t, Disp: field}, r) }

// rows takes the panel from its beginning, and finds the fourth rows.
func (p aheadTile) rows() {
	p.get(tileA, p.a)
	p.get(tileK, p.k)
	LEAQ(Mem{Base: p.stride, Index: p.stride, Scale: 2}, p.far3)
	LEAQ(Mem{Base: p.next, Index: p.far3, Scale: 1}, p.next3)
	ADDQ(p.far, p.far3)
}

// multiply goes through the rows of B six by six.
func (p aheadTile) multiply() {
	left := GP64()
	p.get(tileB, p.b)
	p.get(tileC, p.c)
	p.get(tileBits16, p.next)
	p.get(tileCols, left)
	Label("tile")
	ADDQ(p.six, p.next)
	LEAQ(Mem{Base: p.next, Index: p.six, Scale: 1}, p.far)
	CMPQ(left, Imm(2*aheadCols))
	JG(LabelRef("known"))
	p.get(tileNext, p.far)
	JEQ(LabelRef("known"))
	MOVQ(p.far, p.next)
	ADDQ(p.six, p.far)
	Label("known")
	p.rows()
	p.sums()
	// Back to where these rows begin, and the widened ones change places.
	p.get(tileK, p.k)
	NEGQ(p.k)
	LEAQ(Mem{Base: p.next, Index: p.k, Scale: 2}, p.next)
	LEAQ(Mem{Base: p.b, Index: p.k, Scale: 4}, p.b)
	LEAQ(Mem{Base: p.to, Index: p.k, Scale: 4}, p.to)
	XCHGQ(p.b, p.to)
	ADDQ(U32(4*2*8*aheadCols), p.c)
	SUBQ(Imm(aheadCols), left)
	JG(LabelRef("tile"))
}

// sums loads the sums or zeros, multiplies and stores them.
func (p aheadTile) sums() {
	each := func(f func(sum VecPhysical, at Mem)) {
		for i := range 2 * aheadCols {
			f(p.regs[i], Mem{Base: p.c, Disp: 4 * p.lanes * i})
		}
	}
	each(func(sum VecPhysical, _ Mem) { p.zero(sum) })
	CMPQ(Mem{Base: p.t, Disp: tileInit}, Imm(0))
	JEQ(LabelRef("sum"))
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
	row := func(first, fourth Register, j int) Mem {
		m := Mem{Base: []Register{first, fourth}[j/3]}
		if j%3 > 0 {
			m.Index, m.Scale = p.stride, uint8(j%3)
		}
		return m
	}
	SUBQ(Imm(aheadStep), p.k)
	JL(LabelRef("end"))
	Label("loop")
	for u := range aheadStep {
		step(u)
		if j := (u - 1) / 2; u%2 == 1 && j < aheadCols {
			PREFETCHT1(row(p.far, p.far3, j))
			if j%2 == 0 {
				PREFETCHT1(Mem{Base: p.later, Disp: 32 * j}) // three lines for sixteen values of six rows
			}
			VMOVUPS(row(p.next, p.next3, j), p.temps[0])
			VPSLLD(Imm(16), p.temps[0], p.regs[12])
			VPAND(p.temps[1], p.temps[0], p.regs[13])
			VMOVUPS(p.regs[12], Mem{Base: p.to, Disp: 4 * aheadRow * j})
			VMOVUPS(p.regs[13], Mem{Base: p.to, Disp: 4 * (aheadRow*j + p.lanes)})
		}
	}
	ADDQ(U32(4*2*8*aheadStep), p.a)
	ADDQ(Imm(4*aheadStep), p.b)
	ADDQ(Imm(4*aheadStep), p.to)
	ADDQ(U32(2*aheadCols*aheadStep), p.later)
	for _, r := range []Register{p.next, p.next3, p.far, p.far3} {
		ADDQ(Imm(2*aheadStep), r)
	}
	SUBQ(Imm(aheadStep), p.k)
	JGE(LabelRef("loop"))
	Label("end")
}
