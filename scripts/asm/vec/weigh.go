package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// weigh writes a sum of rows, each times a weight. The sums of some vectors of columns stay in
// registers while the rows are read one after the other.
func (k *kit) weigh() {
	k.function("weigh", "(o, p, values []float32, stride int)", "is o += sum of p[i]·values[i·stride:], len(o) values a row.")
	w := weighing{kit: k, o: pointer("o"), p: pointer("p"), values: pointer("values"), rows: length("p"), zero: GP64()}
	n := length("o")
	w.stride = Load(Param("stride"), GP64())
	SHLQ(Imm(2), w.stride)
	XORQ(w.zero, w.zero)
	TESTQ(w.rows, w.rows)
	JZ(LabelRef("end"))
	for _, vecs := range []int{8, 4, 1} {
		tag := fmt.Sprintf("vecs%d", vecs)
		Label(tag)
		SUBQ(U32(uint32(vecs*k.lanes)), n)
		JL(LabelRef(tag + "none"))
		w.columns(tag, vecs, false)
		JMP(LabelRef(tag))
		Label(tag + "none")
		ADDQ(U32(uint32(vecs*k.lanes)), n)
	}
	JZ(LabelRef("end"))
	k.setMask(n)
	w.columns("tail", 1, true)
	Label("end")
	k.done()
}

type weighing struct {
	*kit
	o, p, values, stride Register
	rows, zero           GPVirtual
}

// columns sums the next columns, of so many vectors, or a part of one.
func (w weighing) columns(tag string, vecs int, tail bool) {
	row, p, left := GP64(), GP64(), GP64()
	MOVQ(w.values, row)
	MOVQ(w.p, p)
	MOVQ(w.rows, left)
	acc := make(sums, vecs)
	lane := func(v int) *at { return &at{k: w.kit, index: w.zero, u: v, tail: tail} }
	for v := range acc {
		acc[v] = lane(v).load(w.o)
	}
	Label(tag + "rows")
	weight := w.vec()
	VBROADCASTSS(Mem{Base: p}, weight)
	for v, s := range acc {
		if tail {
			VFMADD231PS(lane(v).load(row), weight, s)
		} else {
			VFMADD231PS(lane(v).mem(row), weight, s)
		}
	}
	ADDQ(w.stride, row)
	ADDQ(Imm(4), p)
	DECQ(left)
	JNZ(LabelRef(tag + "rows"))
	for v, s := range acc {
		lane(v).store(s, w.o)
	}
	ADDQ(U32(uint32(4*w.lanes*vecs)), w.o)
	ADDQ(U32(uint32(4*w.lanes*vecs)), w.values)
}
