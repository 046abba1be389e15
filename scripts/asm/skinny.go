package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Kernels of products with few rows, which pack nothing: they read B once, as it
// lies, and are meant to be as fast as memory.

// skinnyArgs are the fields of a kernel.tile that they use.
type skinnyArgs struct{ t, a, as, b, bs, c, cs, k GPVirtual }

func loadSkinny(size int) skinnyArgs { return skinnyFields(Load(Param("t"), GP64()).(GPVirtual), size) }

func skinnyFields(t GPVirtual, size int) skinnyArgs {
	field := func(at, size int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		for ; size > 1; size /= 2 {
			ADDQ(r, r)
		}
		return r
	}
	b := tileB
	if size == 2 {
		b = tileBits16
	}
	return skinnyArgs{t, field(tileA, 1), field(tileAS, 4), field(b, 1), field(tileBS, size), field(tileC, 1), field(tileCS, 4), field(tileK, 1)}
}

// skinny writes all of them for an instruction set, of float32 and of bfloat16: dot and
// vecs are, by rows of A less one, the rows of B and the vectors of its columns that are
// taken at a time.
func skinny(suffix string, s isa, dot, vecs []int) {
	skinnyDot("skinnyDot"+suffix, s, wideDot(s, 4), dot)
	skinnyDot("skinnyDotMixed"+suffix, s, wideDot(s, 2), dot)
	skinnyRows("skinnyRows"+suffix, s, 4, vecs)
	skinnyRows("skinnyRowsMixed"+suffix, s, 2, vecs)
}

// rowsAt gives the addresses of up to nine rows from three pointers.
func rowsAt(p, stride Register, n int) (at func(i int) Mem, pointers []Register) {
	pointers = []Register{p}
	if n > 3 {
		three := GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
		for i := 3; i < n; i += 3 {
			next := GP64()
			LEAQ(Mem{Base: pointers[len(pointers)-1], Index: three, Scale: 1}, next)
			pointers = append(pointers, next)
		}
	}
	return func(i int) Mem {
		m := Mem{Base: pointers[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = stride, uint8(i%3)
		}
		return m
	}, pointers
}

// value loads lanes of float32, or of bfloat16 that it widens.
func value(s isa, size int, from Mem, to VecPhysical, part bool) {
	switch {
	case size == 4 && part:
		s.load(1, from, to)
	case size == 4:
		VMOVUPS(from, to)
	case part:
		VPMOVZXWD_Z(from, kmask[1], to)
	default:
		VPMOVZXWD(from, to)
	}
	if size == 2 {
		VPSLLD(Imm(16), to, to)
	}
}

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
			load := func(v int, to VecPhysical) {
				at := size * s.lanes * v
				value(s, size, Mem{Base: x.b, Disp: at}, to, part)
				if at%64 == 0 {
					PREFETCHT0(Mem{Base: next, Disp: at})
				}
			}
			if len(free) > m { // A's values stay in registers, else B's
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
