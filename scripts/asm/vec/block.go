package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.block, in bytes; a test in pkg/kernel holds
// them.
const (
	blockA, blockB, blockC                 = 0, 24, 48
	blockAS, blockAK, blockBS, blockCS     = 72, 80, 88, 96
	blockK, blockRows, blockCols, blockAdd = 104, 112, 120, 128
)

// block writes the product of small strided matrices that attention is made of:
// C (rows, cols) = [C +] A (rows, k) · B (k, cols), where A has any strides (so it
// may be transposed) and rows of B and C are contiguous. Nothing is packed. Rows
// are at most 14 or 6, columns at most 32, or with AVX2 at most 8 or any multiple of 16.
func (k *kit) block() {
	name := "block" + k.suffix
	TEXT(name, NOSPLIT, "func(t uintptr)")
	maxRows := 6
	if k.wide {
		maxRows = 14
	}
	t := Load(Param("t"), GP64())
	field := func(at int) GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: t, Disp: at}, r)
		return r
	}
	bytes := func(at int) GPVirtual {
		r := field(at)
		SHLQ(Imm(2), r)
		return r
	}
	rows, cols := field(blockRows), field(blockCols)
	type form struct {
		name   string
		vecs   int
		masked bool
	}
	forms := []form{{"two", 2, false}, {"one", 1, true}}
	if k.wide {
		CMPQ(cols, Imm(uint64(2*k.lanes)))
	} else {
		TESTQ(U32(uint32(2*k.lanes-1)), cols)
	}
	JEQ(LabelRef("two"))
	if !k.wide { // AVX2 takes long to store a part of a vector
		forms = append(forms, form{"whole", 1, false})
		CMPQ(cols, Imm(uint64(k.lanes)))
		JEQ(LabelRef("whole"))
	}
	if k.wide {
		forms = append(forms, form{"part", 2, true})
		CMPQ(cols, Imm(uint64(k.lanes)))
		JG(LabelRef("part"))
	}
	JMP(LabelRef("one"))
	for _, f := range forms {
		Label(f.name)
		for r := maxRows; r > 1; r-- {
			CMPQ(rows, Imm(uint64(r)))
			JEQ(LabelRef(fmt.Sprintf("%s%d", f.name, r)))
		}
		for r := 1; r <= maxRows; r++ {
			Label(fmt.Sprintf("%s%d", f.name, r))
			k.blockRows(t, fmt.Sprintf("%s%d", f.name, r), r, f.vecs, f.masked, field, bytes)
		}
	}
}

func (k *kit) blockRows(t Register, tag string, rows, vecs int, masked bool, field, bytes func(int) GPVirtual) {
	label := func(s string) string { return tag + s }
	var masks [2]Register
	if masked {
		n := field(blockCols)
		if vecs == 2 {
			SUBQ(Imm(uint64(k.lanes)), n)
		}
		k.setMask(n)
		masks[vecs-1] = k.mask
	}
	load := func(m Mem, v int, to VecVirtual) {
		switch {
		case masks[v] == nil:
			VMOVUPS(m, to)
		case k.wide:
			VMOVUPS_Z(m, masks[v], to)
		default:
			VMASKMOVPS(m, masks[v], to)
		}
	}
	// A multiply-and-add waits for the one before it in the same sum: few rows take
	// turns with several sums, that eight are under way.
	turns := 1
	for rows*vecs*turns < 8 {
		turns *= 2
	}
	strips := vecs == 2 && !masked && !k.wide // may be several
	var off GPVirtual                         // of the one at hand, in bytes
	if strips {
		off = GP64()
		XORQ(off, off)
		Label(label("strip"))
	}
	acc := make([][]VecVirtual, rows*turns)
	for i := range acc {
		acc[i] = make([]VecVirtual, vecs)
		for v := range acc[i] {
			acc[i][v] = k.zero()
		}
	}
	a, b, n := field(blockA), field(blockB), field(blockK)
	if strips {
		ADDQ(off, b)
	}
	ak, bs := bytes(blockAK), bytes(blockBS)
	row := k.rowsAt(a, bytes(blockAS), rows)

	TESTQ(n, n)
	JZ(LabelRef(label("sum")))
	Label(label("loop"))
	for turn := range turns {
		var bv [2]VecVirtual
		for v := range vecs {
			bv[v] = k.vec()
			load(Mem{Base: b, Disp: 4 * k.lanes * v}, v, bv[v])
		}
		for i := range rows {
			x := k.vec()
			VBROADCASTSS(row.mem(i), x)
			for v := range vecs {
				VFMADD231PS(bv[v], x, acc[turn*rows+i][v])
			}
		}
		row.advance(ak)
		ADDQ(bs, b)
		DECQ(n)
		if turn < turns-1 {
			JZ(LabelRef(label("sum")))
		}
	}
	JNZ(LabelRef(label("loop")))

	Label(label("sum"))
	for i := rows; i < len(acc); i++ {
		for v := range vecs {
			VADDPS(acc[i][v], acc[i%rows][v], acc[i%rows][v])
		}
	}
	c, cs := field(blockC), bytes(blockCS)
	if strips {
		ADDQ(off, c)
	}
	at := func(p Register, v int) Mem { return Mem{Base: p, Disp: 4 * k.lanes * v} }
	CMPQ(Mem{Base: t, Disp: blockAdd}, Imm(0))
	JEQ(LabelRef(label("store")))
	p := GP64()
	MOVQ(c, p)
	for i := range rows {
		for v := range vecs {
			x := k.vec()
			load(at(p, v), v, x)
			VADDPS(x, acc[i][v], acc[i][v])
		}
		ADDQ(cs, p)
	}
	Label(label("store"))
	for i := range rows {
		for v := range vecs {
			switch {
			case masks[v] == nil:
				VMOVUPS(acc[i][v], at(c, v))
			default:
				if k.wide {
					VMOVUPS(acc[i][v], masks[v], at(c, v))
				} else {
					VMASKMOVPS(acc[i][v], masks[v], at(c, v))
				}
			}
		}
		ADDQ(cs, c)
	}
	if strips {
		ADDQ(Imm(uint64(8*k.lanes)), off)
		left := field(blockCols)
		SHLQ(Imm(2), left)
		CMPQ(off, left)
		JLT(LabelRef(label("strip")))
	}
	k.done()
}

// rowPointers address up to 16 rows a stride apart by two bases and the odd
// multiples of the stride.
type rowPointers struct {
	base []GPVirtual
	odd  map[int]GPVirtual // 1, 3, 5, 7 times the stride, in bytes
}

func (k *kit) rowsAt(a, stride GPVirtual, rows int) rowPointers {
	p := rowPointers{base: []GPVirtual{a}, odd: map[int]GPVirtual{1: stride}}
	for _, m := range []int{3, 5, 7} {
		if rows > m {
			r := GP64()
			LEAQ(Mem{Base: p.odd[m-2], Index: stride, Scale: 2}, r)
			p.odd[m] = r
		}
	}
	if rows > 8 {
		r := GP64()
		LEAQ(Mem{Base: a, Index: stride, Scale: 8}, r)
		p.base = append(p.base, r)
	}
	return p
}

func (p rowPointers) mem(i int) Mem {
	m := Mem{Base: p.base[i/8]}
	switch j := i % 8; j {
	case 0:
		return m
	case 2, 4:
		m.Index, m.Scale = p.odd[1], uint8(j)
	case 6:
		m.Index, m.Scale = p.odd[3], 2
	default:
		m.Index, m.Scale = p.odd[j], 1
	}
	return m
}

func (p rowPointers) advance(by GPVirtual) {
	for _, b := range p.base {
		ADDQ(by, b)
	}
}

// transpose writes the transposition of whole 8 x 8 blocks.
func (k *kit) transpose() {
	k.function("transpose8", "(dst, src []float32, blocks, ds, ss int)",
		"is dst[c·ds+r] = src[r·ss+c] for 8 rows r and 8·blocks columns c.")
	dst, src := pointer("dst"), pointer("src")
	n := Load(Param("blocks"), GP64()).(GPVirtual)
	ds, ss := Load(Param("ds"), GP64()).(GPVirtual), Load(Param("ss"), GP64()).(GPVirtual)
	SHLQ(Imm(2), ds)
	SHLQ(Imm(2), ss)
	from, to := k.rowsAt(src.(GPVirtual), ss, 8), k.rowsAt(dst.(GPVirtual), ds, 8)
	TESTQ(n, n)
	JZ(LabelRef("end"))
	Label("loop")
	// q[h][i] holds columns 4h..4h+3 of rows i (low half) and i+4 (high half).
	// Each half is stored before the next is read, so that the 16 registers that
	// AVX2 has are enough.
	for h := range 2 {
		var q, t, out [4]VecVirtual
		for i := range 4 {
			lo, hi := from.mem(i), from.mem(i+4)
			lo.Disp, hi.Disp = 16*h, 16*h
			q[i] = YMM()
			VMOVUPS(lo, q[i].AsX())
			VINSERTF128(Imm(1), hi, q[i], q[i])
		}
		for i := range 2 {
			t[2*i], t[2*i+1] = YMM(), YMM()
			VUNPCKLPS(q[2*i+1], q[2*i], t[2*i])   // columns 0, 1 of rows 2i, 2i+1
			VUNPCKHPS(q[2*i+1], q[2*i], t[2*i+1]) // columns 2, 3
		}
		for i := range 2 {
			out[2*i], out[2*i+1] = YMM(), YMM()
			VUNPCKLPD(t[2+i], t[i], out[2*i])
			VUNPCKHPD(t[2+i], t[i], out[2*i+1])
		}
		for i := range out {
			VMOVUPS(out[i], to.mem(4*h+i))
		}
	}
	ADDQ(Imm(32), src)
	p := GP64()
	MOVQ(ds, p)
	SHLQ(Imm(3), p)
	ADDQ(p, dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	Label("end")
	k.done()
}

// gather writes the copying of rows, roomy or not: stores of a part of a vector take
// long with AVX2. The roomy one fetches eight rows ahead.
func (k *kit) gather(name string, roomy bool, doc string) {
	k.function(name, "(dst, src []float32, rows, cols, ds, ss int)", doc)
	dst, src := pointer("dst"), pointer("src")
	rows, cols := Load(Param("rows"), GP64()).(GPVirtual), Load(Param("cols"), GP64())
	ds, ss := Load(Param("ds"), GP64()), Load(Param("ss"), GP64())
	SHLQ(Imm(2), ds)
	SHLQ(Imm(2), ss)
	ahead := GP64() // rows so far apart are read ahead by no processor
	if roomy {
		LEAQ(Mem{Base: src, Index: ss, Scale: 8}, ahead)
	}
	k.each(rows, func() {
		k.loop("copy", cols, 4, func(p *at) {
			if !roomy {
				p.store(p.load(src), dst)
				return
			}
			if p.u%2 == 0 {
				PREFETCHT0(p.mem(ahead))
			}
			VMOVUPS(p.load(src), p.mem(dst))
		})
		ADDQ(ds, dst)
		ADDQ(ss, src)
		if roomy {
			ADDQ(ss, ahead)
		}
	})
	k.done()
}

// dots writes the scores of one query against keys.
func (k *kit) dots() {
	k.function("dots", "(s, q, keys []float32, stride int)", "is s[j] = sum of q·keys[j·stride:], len(q) values a key.")
	s, q, keys := pointer("s"), pointer("q"), pointer("keys")
	n, d := length("s"), length("q")
	stride := Load(Param("stride"), GP64())
	SHLQ(Imm(2), stride)
	for _, group := range []int{4, 1} {
		tag := fmt.Sprintf("keys%d", group)
		Label(tag)
		CMPQ(n, Imm(uint64(group)))
		JL(LabelRef(tag + "none"))
		ptr := make([]Register, group)
		acc := make(sums, group)
		for j := range ptr {
			p := GP64()
			MOVQ(keys, p)
			ptr[j] = p
			if j > 0 {
				MOVQ(ptr[j-1], p)
				ADDQ(stride, p)
			}
			acc[j] = k.zero()
		}
		k.loop(tag, d, 1, func(p *at) {
			v := p.load(q)
			for j := range ptr {
				k.addMulInto(acc[j], v, p.load(ptr[j]))
			}
		})
		if group == 4 {
			k.fold4(acc, Mem{Base: s})
		} else {
			VMOVSS(k.fold(acc, VADDPS).AsX(), Mem{Base: s})
		}
		ADDQ(Imm(uint64(4*group)), s)
		for range group {
			ADDQ(stride, keys)
		}
		SUBQ(Imm(uint64(group)), n)
		JMP(LabelRef(tag))
		Label(tag + "none")
	}
	k.done()
}

// fold4 stores the sums of four vectors side by side.
func (k *kit) fold4(v sums, to Mem) {
	for i := range v {
		if k.wide {
			h := ZMM()
			VEXTRACTF64X4(Imm(1), v[i], h.AsY())
			VADDPS(h.AsY(), v[i].AsY(), v[i].AsY())
		}
		h := YMM()
		VEXTRACTF128(Imm(1), v[i].AsY(), h.AsX())
		VADDPS(h.AsX(), v[i].AsX(), v[i].AsX())
	}
	VHADDPS(v[1].AsX(), v[0].AsX(), v[0].AsX())
	VHADDPS(v[3].AsX(), v[2].AsX(), v[2].AsX())
	VHADDPS(v[2].AsX(), v[0].AsX(), v[0].AsX())
	VMOVUPS(v[0].AsX(), to)
}
