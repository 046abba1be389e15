package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// dotForm is how a product of rows goes along the inner index, a vector of A at a time.
type dotForm struct {
	size    int              // bytes of a value of B
	values  int              // of a vector
	ahead   uint8            // rows of B from those that are read to those that are prefetched, by measurement
	oneLine bool             // a single row has a loop of its own
	mask    func(k Register) // for what a vector does not fill
	a, b    func(from Mem, to VecPhysical, part bool)
	add     func(a, b, acc VecPhysical) // acc += a·b
}

// wideDot is the form of float32, to which a B of fewer bytes is widened.
func wideDot(s isa, size int) dotForm {
	return dotForm{
		size: size, values: s.lanes, ahead: 4, oneLine: true,
		mask: func(k Register) { s.mask(1, k, 0) },
		a:    func(from Mem, to VecPhysical, part bool) { value(s, 4, from, to, part) },
		b:    func(from Mem, to VecPhysical, part bool) { value(s, size, from, to, part) },
		add:  func(a, b, acc VecPhysical) { VFMADD231PS(b, a, acc) },
	}
}

// pairDot is the form of bfloat16 in both A and B, a pair to a lane.
func pairDot() dotForm {
	load := func(from Mem, to VecPhysical, part bool) {
		if part {
			VMOVDQU16_Z(from, kmask[1], to)
		} else {
			VMOVUPS(from, to)
		}
	}
	return dotForm{
		size: 2, values: 32, ahead: 8, a: load, b: load,
		mask: func(k Register) {
			ones := GP32()
			MOVL(U32(0xffffffff), ones)
			BZHIL(k.(GP).As32(), ones, ones)
			KMOVD(ones, kmask[1])
		},
		add: func(a, b, acc VecPhysical) { vdpbf16ps(a, b, acc) },
	}
}

// skinnyDot writes the kernel for a B whose inner index is contiguous: strips of cols[m-1]
// of its rows, three or four, against m rows of A, a vector of inner values at a time.
func skinnyDot(name string, s isa, f dotForm, cols []int) {
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(fmt.Sprintf("%s multiplies up to %d rows by strips of three or four rows.", name, len(cols)))
	t, done, rows := Load(Param("t"), GP64()).(GPVirtual), GP64(), GP64()
	XORQ(done, done)
	MOVQ(Mem{Base: t, Disp: tileRows}, rows)
	for m := len(cols); m > 1; m-- {
		CMPQ(rows, Imm(uint64(m)))
		JEQ(LabelRef(fmt.Sprintf("m%d", m)))
	}
	for m, n := range cols {
		d := dotStrip{isa: s, f: f, m: m + 1, n: n, done: done}
		Label(d.label(""))
		d.x = skinnyFields(t, f.size)
		behind := GP64()
		MOVQ(d.x.bs, behind)
		IMULQ(done, behind)
		ADDQ(behind, d.x.b)
		if m == 0 && f.oneLine {
			dotRows(s, f.size, d.x)
		} else {
			d.strip()
		}
		d.finish()
	}
}

// dotStrip is the part of a kernel for m rows of A and n of B: the sums of row i by row
// j are register n*i+j.
type dotStrip struct {
	isa
	f    dotForm
	x    skinnyArgs
	m, n int
	done GPVirtual // columns before the strip
}

func (d dotStrip) label(what string) string { return fmt.Sprintf("m%d%s", d.m, what) }

func (d dotStrip) acc(i, j int) VecPhysical { return d.regs[i*d.n+j] }

// spare are registers that hold no sums, the masks' and the temporary ones last.
func (d dotStrip) spare() []VecPhysical { return d.regs[d.m*d.n:] }

// strip adds up over the inner index.
func (d dotStrip) strip() {
	f, x, s := d.f, d.x, d.isa
	atA, pa := rowsAt(x.a, x.as, d.m)
	atB, pb := rowsAt(x.b, x.bs, d.n)
	next := GP64()
	LEAQ(Mem{Base: x.b, Index: x.bs, Scale: f.ahead}, next)
	atNext, pn := rowsAt(next, x.bs, d.n)
	for i := range d.m * d.n {
		s.zero(s.regs[i])
	}
	k := x.k
	SUBQ(Imm(uint64(f.values)), k)
	JL(LabelRef(d.label("part")))
	Label(d.label("loop"))
	d.step(atA, atB, atNext)
	for _, p := range pa {
		ADDQ(Imm(uint64(4*s.lanes)), p)
	}
	for _, p := range append(pb, pn...) {
		ADDQ(Imm(uint64(f.size*f.values)), p)
	}
	SUBQ(Imm(uint64(f.values)), k)
	JGE(LabelRef(d.label("loop")))
	Label(d.label("part"))
	ADDQ(Imm(uint64(f.values)), k)
	JZ(LabelRef(d.label("sum")))
	fromA, fromB := d.regs[14], d.regs[15] // free in AVX2, where 13 is the mask
	if s.lanes == 16 {
		fromA, fromB = d.spare()[0], d.spare()[1]
	}
	if s.lanes == 16 || f.size == 4 {
		f.mask(k)
		for j := range d.n {
			f.b(atB(j), fromB, true)
			for i := range d.m {
				f.a(atA(i), fromA, true)
				f.add(fromA, fromB, d.acc(i, j))
			}
		}
		return
	}
	Label(d.label("one")) // no masked loads of words: one by one
	for j := range d.n {
		word := GP32()
		MOVWLZX(atB(j), word)
		SHLL(Imm(16), word)
		VMOVD(word, fromB.AsX())
		for i := range d.m {
			VMOVSS(atA(i), fromA.AsX())
			VFMADD231PS(fromB, fromA, d.acc(i, j))
		}
	}
	for _, p := range pa {
		ADDQ(Imm(4), p)
	}
	for _, p := range pb {
		ADDQ(Imm(2), p)
	}
	DECQ(k)
	JNZ(LabelRef(d.label("one")))
}

// step adds a whole vector of every row. The factor with fewer rows stays in registers,
// so that all of them are enough.
func (d dotStrip) step(atA, atB, atNext func(i int) Mem) {
	free := d.spare()
	if d.m > d.n && len(free) < d.m+1 {
		for j := range d.n {
			d.f.b(atB(j), free[j], false)
			PREFETCHT0(atNext(j))
		}
		for i := range d.m {
			d.f.a(atA(i), free[d.n], false)
			for j := range d.n {
				d.f.add(free[d.n], free[j], d.acc(i, j))
			}
		}
		return
	}
	fromB := free[d.m:][:min(2, len(free)-d.m)]
	for i := range d.m {
		d.f.a(atA(i), free[i], false)
	}
	for j := range d.n {
		b := fromB[j%len(fromB)]
		d.f.b(atB(j), b, false)
		PREFETCHT0(atNext(j))
		for i := range d.m {
			d.f.add(free[i], b, d.acc(i, j))
		}
	}
}

// finish adds the lanes of every sum up, adds init and bias and stores.
func (d dotStrip) finish() {
	s, x := d.isa, d.x
	Label(d.label("sum"))
	for i := range d.m {
		last := d.regs[13]
		if d.n == 4 {
			last = d.acc(i, 3)
		} else {
			s.zero(last)
		}
		s.sumFour(d.acc(i, 0), d.acc(i, 1), d.acc(i, 2), last)
	}
	cols, init, bias := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: x.t, Disp: tileCols}, cols)
	s.mask(0, cols, 0)
	MOVQ(Mem{Base: x.t, Disp: tileInit}, init)
	MOVQ(Mem{Base: x.t, Disp: tileBias}, bias)
	TESTQ(init, init)
	JZ(LabelRef(d.label("bias")))
	is := GP64()
	MOVQ(Mem{Base: x.t, Disp: tileIS}, is)
	SHLQ(Imm(2), is)
	spare := s.temps[0].AsX()
	for i := range d.m {
		s.load(0, Mem{Base: init, Index: d.done, Scale: 4}, spare.(VecPhysical))
		VADDPS(spare, d.acc(i, 0).AsX(), d.acc(i, 0).AsX())
		if i < d.m-1 {
			ADDQ(is, init)
		}
	}
	Label(d.label("bias"))
	TESTQ(bias, bias)
	JZ(LabelRef(d.label("store")))
	s.load(0, Mem{Base: bias, Index: d.done, Scale: 4}, spare.(VecPhysical))
	for i := range d.m {
		VADDPS(spare, d.acc(i, 0).AsX(), d.acc(i, 0).AsX())
	}
	Label(d.label("store"))
	for i := range d.m {
		s.store(0, d.acc(i, 0).AsX().(VecPhysical), Mem{Base: x.c, Index: d.done, Scale: 4})
		if i < d.m-1 {
			ADDQ(x.cs, x.c)
		}
	}
	ADDQ(Imm(uint64(d.n)), d.done)
	CMPQ(d.done, Mem{Base: x.t, Disp: tileAll})
	JLT(LabelRef(d.label("")))
	VZEROUPPER()
	RET()
}

// sumFour leaves the sums of a, b, c and d in the first four lanes of a.
func (s isa) sumFour(a, b, c, d VecPhysical) {
	x, y := s.temps[0], s.temps[1]
	pairs := func(p, q VecPhysical) { // p = sums of pairs: p02 q02 p13 q13
		VUNPCKLPS(q, p, x)
		VUNPCKHPS(q, p, y)
		VADDPS(x, y, p)
	}
	pairs(a, b)
	pairs(c, d)
	VUNPCKLPD(c, a, x)
	VUNPCKHPD(c, a, y)
	VADDPS(x, y, a)
	if s.lanes == 16 {
		VEXTRACTF64X4(Imm(1), a, x.AsY())
		VADDPS(x.AsY(), a.AsY(), a.AsY())
		VEXTRACTF32X4(Imm(1), a.AsY(), x.AsX())
	} else {
		VEXTRACTF128(Imm(1), a, x.AsX())
	}
	VADDPS(x.AsX(), a.AsX(), a.AsX())
}
