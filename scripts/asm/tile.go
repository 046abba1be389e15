package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.tile, in bytes; TestTileLayout of pkg/kernel holds them.
const (
	tileA, tileB, tileC        = 0, 24, 48
	tileInit, tileBias, tileK  = 72, 96, 120
	tileCS, tileIS             = 128, 136
	tileRows, tileCols         = 144, 152
	tileAS, tileBS, tileBits16 = 160, 168, 176
	tileAll                    = 200
	tileNext, tileFar          = 272, 280
)

// tile writes the register tile of an instruction set: one loop for every
// number of rows up to mr and for one or two vectors of columns, so that the
// tiles at the edges do no more work than they need. fma is acc += x·y.
func tile(name string, s isa, fma func(x, y, acc Op)) {
	TEXT(name, NOSPLIT, "func(t uintptr)")
	Doc(fmt.Sprintf("%s is the %d x %d register tile.", name, s.mr, 2*s.lanes))
	t := Load(Param("t"), GP64())
	field := func(at int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		return r
	}
	a, b, c, k := field(tileA), field(tileB), field(tileC), field(tileK)
	rows, cols, cs := field(tileRows), field(tileCols), field(tileCS)
	SHLQ(Imm(2), cs)

	CMPQ(cols, U32(uint32(s.lanes)))
	JLE(LabelRef("narrow"))
	for _, vecs := range []int{2, 1} {
		if vecs == 1 {
			Label("narrow")
		}
		for r := s.mr; r > 1; r-- {
			CMPQ(rows, U32(uint32(r)))
			JEQ(LabelRef(fmt.Sprintf("r%dv%d", r, vecs)))
		}
		for r := 1; r <= s.mr; r++ {
			tileRowsLoop(s, fma, t, r, vecs, a, b, c, k, cs, cols)
		}
	}
}

func tileRowsLoop(s isa, fma func(x, y, acc Op), t Register, rows, vecs int, a, b, c, k, cs, cols GPVirtual) {
	label := func(what string) string { return fmt.Sprintf("r%dv%d%s", rows, vecs, what) }
	acc := func(i, v int) VecPhysical { return s.regs[i*vecs+v] }
	each := func(f func(i, v int)) {
		for i := range rows {
			for v := range vecs {
				f(i, v)
			}
		}
	}
	Label(label(""))
	row := GP64()
	MOVQ(c, row)
	for i := range rows {
		PREFETCHT0(Mem{Base: row})
		PREFETCHT0(Mem{Base: row, Disp: 4*s.lanes*vecs - 4})
		if i < rows-1 {
			ADDQ(cs, row)
		}
	}
	each(func(i, v int) { s.zero(acc(i, v)) })

	step := func(u int) {
		for v := range vecs {
			VMOVUPS(Mem{Base: b, Disp: 4 * s.lanes * (2*u + v)}, s.b[v])
		}
		for i := range rows {
			x := s.temps[i%len(s.temps)]
			VBROADCASTSS(Mem{Base: a, Disp: 4 * (u*s.mr + i)}, x)
			for v := range vecs {
				fma(s.b[v], x, acc(i, v))
			}
		}
	}
	const unroll = 4
	n := GP64()
	MOVQ(k, n)
	SUBQ(Imm(unroll), n)
	JL(LabelRef(label("rest")))
	Label(label("loop"))
	for u := range unroll {
		step(u)
	}
	ADDQ(Imm(uint64(4*s.mr*unroll)), a)
	ADDQ(U32(uint32(8*s.lanes*unroll)), b)
	SUBQ(Imm(unroll), n)
	JGE(LabelRef(label("loop")))
	Label(label("rest"))
	ADDQ(Imm(unroll), n)
	JZ(LabelRef(label("sum")))
	Label(label("one"))
	step(0)
	ADDQ(Imm(uint64(4*s.mr)), a)
	ADDQ(U32(uint32(8*s.lanes)), b)
	DECQ(n)
	JNZ(LabelRef(label("one")))

	Label(label("sum"))
	init, bias := GP64(), GP64()
	MOVQ(Mem{Base: t, Disp: tileInit}, init)
	MOVQ(Mem{Base: t, Disp: tileBias}, bias)
	CMPQ(cols, U32(uint32(s.lanes*vecs)))
	JNE(LabelRef(label("edge")))
	for _, full := range []bool{true, false} {
		label := func(what string) string {
			if full {
				return label("full" + what)
			}
			return label("edge" + what)
		}
		Label(label(""))
		at := func(p Register, v int) Mem { return Mem{Base: p, Disp: 4 * s.lanes * v} }
		if !full {
			for v := range vecs {
				s.mask(v, cols, v*s.lanes)
			}
		}
		TESTQ(init, init)
		JZ(LabelRef(label("bias")))
		is := GP64()
		MOVQ(Mem{Base: t, Disp: tileIS}, is)
		SHLQ(Imm(2), is)
		each(func(i, v int) {
			if full {
				VADDPS(at(init, v), acc(i, v), acc(i, v))
			} else {
				s.load(v, at(init, v), s.temps[0])
				VADDPS(s.temps[0], acc(i, v), acc(i, v))
			}
			if v == vecs-1 && i < rows-1 {
				ADDQ(is, init)
			}
		})
		Label(label("bias"))
		TESTQ(bias, bias)
		JZ(LabelRef(label("store")))
		for v := range vecs {
			if full {
				VMOVUPS(at(bias, v), s.temps[v])
			} else {
				s.load(v, at(bias, v), s.temps[v])
			}
		}
		each(func(i, v int) { VADDPS(s.temps[v], acc(i, v), acc(i, v)) })
		Label(label("store"))
		each(func(i, v int) {
			if full {
				VMOVUPS(acc(i, v), at(c, v))
			} else {
				s.store(v, acc(i, v), at(c, v))
			}
			if v == vecs-1 && i < rows-1 {
				ADDQ(cs, c)
			}
		})
		VZEROUPPER()
		RET()
	}
}
