package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// ahead is how far in front of a row's reads it is prefetched, in bytes.
const ahead = 256

// packCols writes the transposing pack of an instruction set: n rows of k
// values, stride bytes apart, become k groups, w values apart; n is in
// [1, lanes] and w at least 1. What a group holds beyond n values means nothing,
// and neither do the lanes values behind the last group, which may be overwritten.
//
// It turns blocks of lanes x lanes over in registers.
func packCols(name string, s isa) {
	TEXT(name, NOSPLIT, "func(dst, src *float32, stride, n, w, k int)")
	Doc(fmt.Sprintf("%s packs n rows of k values in columns of w.", name))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, n := Load(Param("stride"), GP64()), Load(Param("n"), GP64())
	w, k := Load(Param("w"), GP64()), Load(Param("k"), GP64())
	step := w
	SHLQ(Imm(2), step)
	for r := s.lanes; r > 1; r-- {
		CMPQ(n, Imm(uint64(r)))
		JEQ(LabelRef(fmt.Sprintf("n%d", r)))
	}
	for r := 1; r <= s.lanes; r++ {
		label := func(what string) string { return fmt.Sprintf("n%d%s", r, what) }
		block := func(part bool) {
			row := GP64()
			MOVQ(src, row)
			for i := range r {
				if part {
					s.load(1, Mem{Base: row}, s.regs[i])
				} else {
					PREFETCHT0(Mem{Base: row, Disp: ahead})
					VMOVUPS(Mem{Base: row}, s.regs[i])
				}
				if i < r-1 {
					ADDQ(stride, row)
				}
			}
			for i, v := range s.transpose(r) {
				if part && i > 0 {
					CMPQ(k, Imm(uint64(i)))
					JLE(LabelRef(label("end")))
				}
				VMOVUPS(v, Mem{Base: dst})
				ADDQ(step, dst)
			}
		}
		Label(label(""))
		SUBQ(Imm(uint64(s.lanes)), k)
		JL(LabelRef(label("part")))
		Label(label("loop"))
		block(false)
		ADDQ(Imm(uint64(4*s.lanes)), src)
		SUBQ(Imm(uint64(s.lanes)), k)
		JGE(LabelRef(label("loop")))
		Label(label("part"))
		ADDQ(Imm(uint64(s.lanes)), k)
		JZ(LabelRef(label("end")))
		s.mask(1, k, 0)
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

// packRows writes the straight pack: k rows of n values, stride bytes apart, are
// cut in pieces of w values, w in (lanes, 2·lanes] or at most lanes; piece i of a
// row goes to dst plus i times panel bytes, and pieces of the same i lie w
// values apart. What lies beyond the row's last value in its last piece, and in
// the 2·lanes values behind the last row's pieces, means nothing.
//
// Four rows at a time, so that every panel is written in stretches of lines,
// while the next four are fetched.
func packRows(name string, s isa) {
	TEXT(name, NOSPLIT, "func(dst, src *float32, stride, n, w, k, panel int)")
	Doc(fmt.Sprintf("%s packs k rows of n values in panels of w.", name))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride := Load(Param("stride"), GP64())
	w, k := Load(Param("w"), GP64()), Load(Param("k"), GP64())
	panel := Load(Param("panel"), GP64())
	wide := GP64()
	LEAQ(Mem{Base: w, Index: w, Scale: 1}, wide)
	ADDQ(wide, wide) // bytes of a piece
	CMPQ(w, Imm(uint64(s.lanes)))
	JG(LabelRef("wide"))
	for _, vecs := range []int{1, 2} {
		if vecs == 2 {
			Label("wide")
		}
		for _, rows := range []int{4, 1} {
			label := func(what string) string { return fmt.Sprintf("v%dr%d%s", vecs, rows, what) }
			Label(label(""))
			SUBQ(Imm(uint64(rows)), k)
			JL(LabelRef(label("end")))
			left, from, to := GP64(), GP64(), GP64()
			Load(Param("n"), left)
			MOVQ(src, from)
			MOVQ(dst, to)
			piece := func(masked bool) {
				at, out := GP64(), GP64()
				MOVQ(from, at)
				MOVQ(to, out)
				next := GP64()
				LEAQ(Mem{Base: from, Index: stride, Scale: 4}, next)
				for i := range rows {
					for v := range vecs {
						m, r := Mem{Base: at, Disp: 4 * s.lanes * v}, s.regs[i*vecs+v]
						if masked {
							s.load(v, m, r)
						} else {
							VMOVUPS(m, r)
						}
						if !masked && rows > 1 {
							PREFETCHT0(Mem{Base: next, Disp: 4 * s.lanes * v})
						}
					}
					if i < rows-1 {
						ADDQ(stride, at)
						ADDQ(stride, next)
					}
				}
				for i := range rows {
					for v := range vecs {
						VMOVUPS(s.regs[i*vecs+v], Mem{Base: out, Disp: 4 * s.lanes * v})
					}
					if i < rows-1 {
						ADDQ(wide, out)
					}
				}
			}
			// A piece is read whole if the row goes on for whole vectors.
			SUBQ(Imm(uint64(s.lanes*vecs)), left)
			JL(LabelRef(label("last")))
			Label(label("piece"))
			piece(false)
			ADDQ(wide, from)
			ADDQ(panel, to)
			SUBQ(w, left)
			JGE(LabelRef(label("piece")))
			Label(label("last"))
			ADDQ(Imm(uint64(s.lanes*vecs)), left)
			JLE(LabelRef(label("next")))
			for v := range vecs {
				s.mask(v, left, v*s.lanes)
			}
			piece(true)
			// Of the lanes beyond w the last piece may still owe some.
			ADDQ(wide, from)
			ADDQ(panel, to)
			SUBQ(w, left)
			JLE(LabelRef(label("next")))
			for v := range vecs {
				s.mask(v, left, v*s.lanes)
			}
			piece(true)
			Label(label("next"))
			for range rows {
				ADDQ(stride, src)
				ADDQ(wide, dst)
			}
			JMP(LabelRef(label("")))
			Label(label("end"))
			ADDQ(Imm(uint64(rows)), k)
		}
		VZEROUPPER()
		RET()
	}
}
