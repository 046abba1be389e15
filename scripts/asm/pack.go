package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packCols writes the transposing pack of an instruction set: n rows of k
// values, stride bytes apart, become k groups, w values apart, of min(w, lanes)
// values; n is in [1, lanes]. What a group holds beyond n values means nothing.
//
// It turns blocks of lanes x lanes over in registers. All but the last block are
// stored whole: what that writes beyond a group is overwritten by the next one.
func packCols(name string, s isa) {
	TEXT(name, NOSPLIT, "func(dst, src *float32, stride, n, w, k int)")
	Doc(fmt.Sprintf("%s packs n rows of k values in columns of w.", name))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, n := Load(Param("stride"), GP64()), Load(Param("n"), GP64())
	w, k := Load(Param("w"), GP64()), Load(Param("k"), GP64())
	s.mask(0, w, 0)
	step := w
	SHLQ(Imm(2), step)
	for r := s.lanes; r > 1; r-- {
		CMPQ(n, Imm(uint64(r)))
		JEQ(LabelRef(fmt.Sprintf("n%d", r)))
	}
	for r := 1; r <= s.lanes; r++ {
		label := func(what string) string { return fmt.Sprintf("n%d%s", r, what) }
		block := func(last bool) {
			row := GP64()
			MOVQ(src, row)
			for i := range r {
				if last {
					s.load(1, Mem{Base: row}, s.regs[i])
				} else {
					VMOVUPS(Mem{Base: row}, s.regs[i])
				}
				if i < r-1 {
					ADDQ(stride, row)
				}
			}
			for i, v := range s.transpose(r, last) {
				if last && i > 0 {
					ADDQ(step, dst)
					CMPQ(k, Imm(uint64(i)))
					JLE(LabelRef(label("end")))
				}
				if last {
					s.store(0, v, Mem{Base: dst})
				} else {
					VMOVUPS(v, Mem{Base: dst})
					ADDQ(step, dst)
				}
			}
		}
		Label(label(""))
		SUBQ(Imm(uint64(s.lanes)), k)
		JLE(LabelRef(label("last")))
		Label(label("loop"))
		block(false)
		ADDQ(Imm(uint64(4*s.lanes)), src)
		SUBQ(Imm(uint64(s.lanes)), k)
		JG(LabelRef(label("loop")))
		Label(label("last"))
		ADDQ(Imm(uint64(s.lanes)), k)
		s.mask(1, k, 0)
		block(true)
		Label(label("end"))
		VZEROUPPER()
		RET()
	}
}

// transpose turns over the block whose rows are the first registers, of which
// only the first n matter, and returns the registers of its columns. The first
// two registers of s.b may hold masks.
func (s isa) transpose(n int, masked bool) []VecPhysical {
	free := append([]VecPhysical(nil), s.regs[s.lanes:]...)
	if s.lanes == 8 {
		free = []VecPhysical{Y8, Y9, Y10, Y11, Y14, Y15}
	}
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

// packRows writes the straight pack: k rows of n values, stride bytes apart,
// become k groups of w values; n <= w <= 2·lanes. What a group holds beyond n
// values means nothing.
func packRows(name string, s isa) {
	TEXT(name, NOSPLIT, "func(dst, src *float32, stride, n, w, k int)")
	Doc(fmt.Sprintf("%s packs k rows of n values in rows of w.", name))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, n := Load(Param("stride"), GP64()), Load(Param("n"), GP64())
	w, k := Load(Param("w"), GP64()), Load(Param("k"), GP64())
	s.mask(0, n, 0)
	s.mask(1, n, s.lanes)
	step := GP64()
	MOVQ(w, step)
	SHLQ(Imm(2), step)
	CMPQ(n, Imm(uint64(s.lanes)))
	JG(LabelRef("wide"))
	for _, vecs := range []int{1, 2} {
		label := func(what string) string { return fmt.Sprintf("v%d%s", vecs, what) }
		if vecs == 2 {
			Label("wide")
		}
		at := func(p Register, v int) Mem { return Mem{Base: p, Disp: 4 * s.lanes * v} }
		read := func(i int) {
			for v := range vecs {
				s.load(v, at(src, v), s.regs[i*vecs+v])
			}
			ADDQ(stride, src)
		}
		const unroll = 4
		SUBQ(Imm(unroll), k)
		JLE(LabelRef(label("last")))
		ahead := GP64()
		LEAQ(Mem{Base: src, Index: stride, Scale: 8}, ahead)
		Label(label("loop"))
		for i := range unroll {
			PREFETCHT0(Mem{Base: ahead})
			PREFETCHT0(at(ahead, vecs-1))
			ADDQ(stride, ahead)
			read(i)
			for v := range vecs {
				VMOVUPS(s.regs[i*vecs+v], at(dst, v))
			}
			ADDQ(step, dst)
		}
		SUBQ(Imm(unroll), k)
		JG(LabelRef(label("loop")))
		Label(label("last"))
		ADDQ(Imm(unroll), k)
		Label(label("one"))
		read(0)
		for v := range vecs {
			s.store(v, s.regs[v], at(dst, v))
		}
		ADDQ(step, dst)
		DECQ(k)
		JG(LabelRef(label("one")))
		VZEROUPPER()
		RET()
	}
}
