package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// skinnyAhead is how far in front of its reads B is prefetched, in bytes, where it is
// read row by row: what a core takes from memory in the time that one read takes.
const skinnyAhead = 2048

// dotRows multiplies one row by four, which it reads one behind the other by the same
// instructions, so that the processor sees one stream and fetches it ahead: row j's
// sums are left in register j.
func dotRows(s isa, size int, x skinnyArgs) {
	const unroll = 4
	sums, fromA, fromB := s.regs[4:4+unroll], s.regs[4+unroll], s.regs[4+unroll+1]
	a, b, k, rows := GP64(), GP64(), GP64(), GP64()
	vector := func(i int, part bool) {
		value(s, size, Mem{Base: b, Disp: i * size * s.lanes}, fromB, part)
		value(s, 4, Mem{Base: a, Disp: i * 4 * s.lanes}, fromA, part)
		VFMADD231PS(fromB, fromA, sums[i])
	}
	forward := func(n int) {
		ADDQ(U32(4*n), a)
		ADDQ(U32(size*n), b)
	}
	label := func(what string) string { return "row" + what }
	MOVQ(U32(4), rows)
	Label(label(""))
	MOVQ(x.a, a)
	MOVQ(x.b, b)
	MOVQ(x.k, k)
	for _, r := range sums {
		s.zero(r)
	}
	SUBQ(Imm(uint64(unroll*s.lanes)), k)
	JL(LabelRef(label("rest")))
	Label(label("loop"))
	for i := range unroll {
		vector(i, false)
	}
	for at := 0; at < unroll*size*s.lanes; at += 64 {
		PREFETCHT0(Mem{Base: b, Disp: skinnyAhead + at})
	}
	forward(unroll * s.lanes)
	SUBQ(Imm(uint64(unroll*s.lanes)), k)
	JGE(LabelRef(label("loop")))
	Label(label("rest"))
	ADDQ(U32((unroll-1)*s.lanes), k)
	JL(LabelRef(label("part")))
	Label(label("vector"))
	vector(0, false)
	forward(s.lanes)
	SUBQ(Imm(uint64(s.lanes)), k)
	JGE(LabelRef(label("vector")))
	Label(label("part"))
	ADDQ(Imm(uint64(s.lanes)), k)
	JZ(LabelRef(label("sum")))
	if s.lanes == 8 && size == 2 { // no masked loads of words: one by one
		word := GP32()
		Label(label("one"))
		VMOVSS(Mem{Base: a}, fromA.AsX())
		MOVWLZX(Mem{Base: b}, word)
		SHLL(Imm(16), word)
		VMOVD(word, fromB.AsX())
		VFMADD231PS(fromB, fromA, sums[1])
		forward(1)
		DECQ(k)
		JNZ(LabelRef(label("one")))
	} else {
		s.mask(1, k, 0)
		vector(0, true)
	}
	Label(label("sum"))
	VADDPS(sums[1], sums[0], sums[0])
	VADDPS(sums[3], sums[2], sums[2])
	for j := range 3 {
		VMOVAPS(s.regs[j+1], s.regs[j])
	}
	VADDPS(sums[2], sums[0], s.regs[3])
	ADDQ(x.bs, x.b)
	DECQ(rows)
	JNZ(LabelRef(label("")))
}
