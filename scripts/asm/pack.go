package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// ahead is how far in front of a row's reads it is prefetched, in bytes.
const ahead = 256

// source is what a pack reads. Every lane of a panel holds one float32, or a pair
// of bfloat16 that follow each other along the inner index.
type source struct {
	s     isa
	bytes int // of a value
	pair  int // values in a lane
}

// Of float32; of float32 that are rounded to bfloat16; of bfloat16.
func plain(s isa) source { return source{s, 4, 1} }

var (
	rounded = source{avx512, 4, 2}
	bf16    = source{avx512, 2, 2}
)

// masks prepares loading the first k values of a block.
func (r source) masks(k GPVirtual) {
	switch {
	case r.pair == 1:
		r.s.mask(1, k, 0)
	case r.bytes == 4:
		r.s.mask(0, k, 0)
		r.s.mask(1, k, r.s.lanes)
	default:
		ones := GP32()
		MOVL(U32(0xffffffff), ones)
		BZHIL(k.As32(), ones, ones)
		KMOVD(ones, K1)
	}
}

// block loads a vector of lanes that follow each other in a row, all of them or
// those that the masks select.
func (r source) block(from Mem, to, spare VecPhysical, part bool) {
	switch {
	case r.pair == 1 && part:
		r.s.load(1, from, to)
	case r.pair == 1:
		VMOVUPS(from, to)
	case r.bytes == 2 && part:
		VMOVDQU16_Z(from, K1, to)
	case r.bytes == 2:
		VMOVDQU16(from, to)
	case part:
		r.s.load(0, from, to)
		r.s.load(1, from.Offset(4*r.s.lanes), spare)
		vcvtne2ps2bf16(to, spare, to)
	default:
		VMOVUPS(from, to)
		VMOVUPS(from.Offset(4*r.s.lanes), spare)
		vcvtne2ps2bf16(to, spare, to)
	}
}

// packCols writes the transposing pack: n rows of k values, stride bytes apart,
// become groups, one for every lane's values, w lanes apart; n is in [1, lanes]
// and w at least 1. What a group holds beyond n lanes means nothing, and neither
// do the lanes that follow the last group, a vector of which may be overwritten.
//
// It turns blocks of lanes x lanes over in registers.
func packCols(name string, r source) {
	s := r.s
	TEXT(name, NOSPLIT, "func(dst, src uintptr, stride, n, w, k int)")
	Doc(fmt.Sprintf("%s packs n rows of k values in columns of w.", name))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, n := Load(Param("stride"), GP64()), Load(Param("n"), GP64())
	w, k := Load(Param("w"), GP64()), Load(Param("k"), GP64()).(GPVirtual)
	step := w
	SHLQ(Imm(2), step)
	values := r.pair * s.lanes // of a row in a block
	for i := s.lanes; i > 1; i-- {
		CMPQ(n, Imm(uint64(i)))
		JEQ(LabelRef(fmt.Sprintf("n%d", i)))
	}
	for n := 1; n <= s.lanes; n++ {
		label := func(what string) string { return fmt.Sprintf("n%d%s", n, what) }
		block := func(part bool) {
			row := GP64()
			MOVQ(src, row)
			for i := range n {
				if !part {
					PREFETCHT0(Mem{Base: row, Disp: ahead})
				}
				r.block(Mem{Base: row}, s.regs[i], s.regs[s.lanes+i%4], part)
				if i < n-1 {
					ADDQ(stride, row)
				}
			}
			for i, v := range s.transpose(n) {
				if part && i > 0 {
					CMPQ(k, Imm(uint64(i*r.pair)))
					JLE(LabelRef(label("end")))
				}
				VMOVUPS(v, Mem{Base: dst})
				ADDQ(step, dst)
			}
		}
		Label(label(""))
		SUBQ(Imm(uint64(values)), k)
		JL(LabelRef(label("part")))
		Label(label("loop"))
		block(false)
		ADDQ(U32(uint32(values*r.bytes)), src)
		SUBQ(Imm(uint64(values)), k)
		JGE(LabelRef(label("loop")))
		Label(label("part"))
		ADDQ(Imm(uint64(values)), k)
		JZ(LabelRef(label("end")))
		r.masks(k)
		block(true)
		Label(label("end"))
		VZEROUPPER()
		RET()
	}
}

// transpose turns over the block whose rows are the first registers, of which
// only the first n matter, and returns the registers of its columns.
func (s isa) transpose(n int) []VecPhysical {
	free := append([]VecPhysical(nil), s.regs[s.lanes:]...)
	// two replaces registers x and y by f(x, y) and g(x, y).
	two := func(x, y VecPhysical, f, g func(x, y, to VecPhysical)) (VecPhysical, VecPhysical) {
		l, h := free[0], free[1]
		f(x, y, l)
		g(x, y, h)
		free = append(free[2:], x, y)
		return l, h
	}
	lo := func(x, y, to VecPhysical) { VUNPCKLPS(y, x, to) }
	hi := func(x, y, to VecPhysical) { VUNPCKHPS(y, x, to) }
	lo2 := func(x, y, to VecPhysical) { VUNPCKLPD(y, x, to) }
	hi2 := func(x, y, to VecPhysical) { VUNPCKHPD(y, x, to) }

	// Within each 128-bit part q, v[g+j] becomes column 4q+j of rows g to g+3.
	v := append([]VecPhysical(nil), s.regs[:s.lanes]...)
	for g := 0; g < n; g += 4 {
		v[g], v[g+1] = two(v[g], v[g+1], lo, hi)
		v[g+2], v[g+3] = two(v[g+2], v[g+3], lo, hi)
		a, b := two(v[g], v[g+2], lo2, hi2)
		c, d := two(v[g+1], v[g+3], lo2, hi2)
		v[g], v[g+1], v[g+2], v[g+3] = a, b, c, d
	}
	out := make([]VecPhysical, s.lanes)
	parts := func(imm uint64) func(x, y, to VecPhysical) {
		return func(x, y, to VecPhysical) {
			if s.lanes == 8 {
				VPERM2F128(Imm(imm), y, x, to)
			} else {
				VSHUFF32X4(Imm(imm), y, x, to)
			}
		}
	}
	for j := range 4 {
		if s.lanes == 8 {
			out[j], out[j+4] = two(v[j], v[4+j], parts(0x20), parts(0x31))
			continue
		}
		even, odd := parts(0x88), parts(0xdd)
		x, y := two(v[j], v[4+j], even, odd)
		z, w := two(v[8+j], v[12+j], even, odd)
		out[j], out[8+j] = two(x, z, even, odd)
		out[4+j], out[12+j] = two(y, w, even, odd)
	}
	return out
}

// row loads a vector of lanes from row at, and for pairs from the next row too,
// or zeros for that if there is none. Mask v selects the lanes if part.
func (r source) row(at, next Mem, v int, to, spare VecPhysical, part, odd bool) {
	half := func(from Mem, to VecPhysical) {
		switch {
		case r.bytes == 2 && part:
			VPMOVZXWD_Z(from, kmask[v], to)
		case r.bytes == 2:
			VPMOVZXWD(from, to)
		case part:
			r.s.load(v, from, to)
		default:
			VMOVUPS(from, to)
		}
	}
	half(at, to)
	switch {
	case r.pair == 1, r.bytes == 2 && odd:
	case r.bytes == 2:
		half(next, spare)
		VPSLLD(Imm(16), spare, spare)
		VPORD(spare, to, to)
	default:
		if odd {
			r.s.zero(spare)
		} else {
			half(next, spare)
		}
		vcvtne2ps2bf16(to, spare, to)
		VPERMW(to, Z31, to)
	}
}

// packRows writes the straight pack: k rows of n values, stride bytes apart, are
// taken one by one, or two by two for pairs, and cut in pieces of w lanes, w in
// (lanes, 2·lanes] or at most lanes. Piece i goes to dst plus i times panel
// bytes, and pieces of the same i lie w lanes apart. What lies beyond the
// last value of a row in its last piece, and in the 2·lanes behind the last
// row's pieces, means nothing.
//
// Four rows or pairs at a time, so that every panel is written in stretches of
// lines, while the next four are fetched.
func packRows(name string, r source) {
	s := r.s
	TEXT(name, NOSPLIT, "func(dst, src uintptr, stride, n, w, k, panel int)")
	Doc(fmt.Sprintf("%s packs k rows of n values in panels of w.", name))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride := Load(Param("stride"), GP64())
	w, k := Load(Param("w"), GP64()), Load(Param("k"), GP64())
	panel := Load(Param("panel"), GP64())
	if r.pair == 2 && r.bytes == 4 {
		VMOVDQU16(zipWords(), Z31)
	}
	CMPQ(w, Imm(uint64(s.lanes)))
	JG(LabelRef("wide"))
	for _, vecs := range []int{1, 2} {
		if vecs == 2 {
			Label("wide")
		}
		kinds := []struct{ rows, values int }{{4, 4 * r.pair}, {1, r.pair}, {1, 1}}
		for _, kind := range kinds[:1+r.pair] {
			rows, odd := kind.rows, kind.values < r.pair
			label := func(what string) string { return fmt.Sprintf("v%dk%d%s", vecs, kind.values, what) }
			Label(label(""))
			SUBQ(Imm(uint64(kind.values)), k)
			JL(LabelRef(label("end")))
			left, from, to := GP64(), GP64(), GP64()
			Load(Param("n"), left)
			MOVQ(src, from)
			MOVQ(dst, to)
			piece := func(part bool) {
				at, out, next := GP64(), GP64(), GP64()
				MOVQ(from, at)
				MOVQ(to, out)
				LEAQ(Mem{Base: from, Index: stride, Scale: 4}, next)
				if r.pair == 2 {
					LEAQ(Mem{Base: next, Index: stride, Scale: 4}, next)
				}
				for i := range rows {
					for v := range vecs {
						m := Mem{Base: at, Disp: r.bytes * s.lanes * v}
						second := m
						second.Index, second.Scale = stride, 1
						r.row(m, second, v, s.regs[i*vecs+v], s.regs[8+v], part, odd)
						if !part && rows > 1 {
							pre := Mem{Base: next, Disp: r.bytes * s.lanes * v}
							PREFETCHT0(pre)
							if r.pair == 2 {
								pre.Index, pre.Scale = stride, 1
								PREFETCHT0(pre)
							}
						}
					}
					for range r.pair {
						if i < rows-1 {
							ADDQ(stride, at)
							ADDQ(stride, next)
						}
					}
				}
				for i := range rows {
					for v := range vecs {
						VMOVUPS(s.regs[i*vecs+v], Mem{Base: out, Disp: 4 * s.lanes * v})
					}
					if i < rows-1 {
						LEAQ(Mem{Base: out, Index: w, Scale: 4}, out)
					}
				}
			}
			// A piece is read whole if the row goes on for whole vectors.
			SUBQ(Imm(uint64(s.lanes*vecs)), left)
			JL(LabelRef(label("last")))
			Label(label("piece"))
			piece(false)
			advance := func() {
				LEAQ(Mem{Base: from, Index: w, Scale: uint8(r.bytes)}, from)
				ADDQ(panel, to)
				SUBQ(w, left)
			}
			advance()
			JGE(LabelRef(label("piece")))
			Label(label("last"))
			ADDQ(Imm(uint64(s.lanes*vecs)), left)
			JLE(LabelRef(label("next")))
			masks := func() {
				for v := range vecs {
					s.mask(v, left, v*s.lanes)
				}
			}
			masks()
			piece(true)
			// Of the lanes beyond w the last piece may still owe some.
			advance()
			JLE(LabelRef(label("next")))
			masks()
			piece(true)
			Label(label("next"))
			for range kind.values {
				ADDQ(stride, src)
			}
			for range rows {
				LEAQ(Mem{Base: dst, Index: w, Scale: 4}, dst)
			}
			JMP(LabelRef(label("")))
			Label(label("end"))
			ADDQ(Imm(uint64(kind.values)), k)
		}
		VZEROUPPER()
		RET()
	}
}
