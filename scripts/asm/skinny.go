package main

import (
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
