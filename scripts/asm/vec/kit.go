package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// kit writes one function for one instruction set: AVX-512 with 16 lanes or
// AVX2 and FMA with 8. Its vectors are virtual registers. Operations return a
// new vector unless they are named for what they change (…Into).
type kit struct {
	wide   bool // AVX-512
	lanes  int
	suffix string
	ints   map[uint32]Mem // constants of this file
	name   string
	mask   Register // of the tail: a K register or a vector
}

func newKit(wide bool) *kit {
	k := &kit{wide: wide, lanes: 8, suffix: "256", ints: map[uint32]Mem{}}
	if wide {
		k.lanes, k.suffix = 16, "512"
	}
	return k
}

// function starts a function; args are Go parameters, and perhaps results.
func (k *kit) function(name, signature, doc string) {
	k.name = name + k.suffix
	TEXT(k.name, NOSPLIT, "func"+signature)
	Pragma("noescape")
	Doc(k.name + " " + doc)
}

func (k *kit) label(s string) string { return s }

func (k *kit) vec() VecVirtual {
	if k.wide {
		return ZMM()
	}
	return YMM()
}

func narrow(v VecVirtual) VecVirtual { return v.AsX().(VecVirtual) }
func half(v VecVirtual) VecVirtual   { return v.AsY().(VecVirtual) }

// bits is a constant of one pattern in every lane. AVX-512 broadcasts a single
// value as it loads; AVX2 needs all lanes in memory.
func (k *kit) bits(b uint32) Mem {
	if m, ok := k.ints[b]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("c%s_%08x", k.suffix, b), RODATA|NOPTR)
	n := 1
	if !k.wide {
		n = 8
	}
	for i := range n {
		DATA(4*i, U32(b))
	}
	k.ints[b] = m
	return m
}

func (k *kit) f(c float64) Mem { return k.bits(math.Float32bits(float32(c))) }

// constant is a constant kept in a register.
func (k *kit) constant(c float64) VecVirtual {
	v := k.vec()
	VBROADCASTSS(k.f(c), v)
	return v
}

// scalar broadcasts a float32 parameter.
func (k *kit) scalar(name string) VecVirtual {
	v := k.vec()
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(a.Addr, v)
	return v
}

func (k *kit) zero() VecVirtual {
	v := k.vec()
	k.clear(v)
	return v
}

func (k *kit) clear(v VecVirtual) {
	if k.wide {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

func (k *kit) copy(x VecVirtual) VecVirtual {
	v := k.vec()
	VMOVAPS(x, v)
	return v
}

// The operations below take vectors or constants in memory as their last operand.

type binary struct{ plain, bcst func(...Op) }

var (
	addOp = binary{VADDPS, VADDPS_BCST}
	subOp = binary{VSUBPS, VSUBPS_BCST}
	mulOp = binary{VMULPS, VMULPS_BCST}
	divOp = binary{VDIVPS, VDIVPS_BCST}
	maxOp = binary{VMAXPS, VMAXPS_BCST}
	minOp = binary{VMINPS, VMINPS_BCST}
)

func (k *kit) into(o binary, y Op, x, dst VecVirtual) {
	if _, isMem := y.(Mem); isMem && k.wide {
		o.bcst(y, x, dst)
		return
	}
	o.plain(y, x, dst)
}

func (k *kit) binary(o binary, x VecVirtual, y Op) VecVirtual {
	v := k.vec()
	k.into(o, y, x, v)
	return v
}

func (k *kit) add(x VecVirtual, y Op) VecVirtual { return k.binary(addOp, x, y) }
func (k *kit) sub(x VecVirtual, y Op) VecVirtual { return k.binary(subOp, x, y) } // x - y
func (k *kit) mul(x VecVirtual, y Op) VecVirtual { return k.binary(mulOp, x, y) }
func (k *kit) div(x VecVirtual, y Op) VecVirtual { return k.binary(divOp, x, y) } // x / y
func (k *kit) max(x VecVirtual, y Op) VecVirtual { return k.binary(maxOp, x, y) } // y where either is NaN
func (k *kit) min(x VecVirtual, y Op) VecVirtual { return k.binary(minOp, x, y) } // y where either is NaN

// mulAddInto is x = x·y + c.
func (k *kit) mulAddInto(x, y VecVirtual, c Op) {
	if _, isMem := c.(Mem); isMem && k.wide {
		VFMADD213PS_BCST(c, y, x)
		return
	}
	VFMADD213PS(c, y, x)
}

// addMulInto is acc += x·y.
func (k *kit) addMulInto(acc, x VecVirtual, y Op) {
	if _, isMem := y.(Mem); isMem && k.wide {
		VFMADD231PS_BCST(y, x, acc)
		return
	}
	VFMADD231PS(y, x, acc)
}

// subMulInto is acc -= x·y.
func (k *kit) subMulInto(acc, x VecVirtual, y Op) {
	if _, isMem := y.(Mem); isMem && k.wide {
		VFNMADD231PS_BCST(y, x, acc)
		return
	}
	VFNMADD231PS(y, x, acc)
}

// polynomial is p(x) by Horner's rule, coefficients lowest first.
func (k *kit) polynomial(p []float64, x VecVirtual) VecVirtual {
	acc := k.constant(p[len(p)-1])
	for i := len(p) - 2; i >= 0; i-- {
		k.mulAddInto(acc, x, k.f(p[i]))
	}
	return acc
}

// logic ops on bit patterns.
func (k *kit) and(x VecVirtual, b uint32) VecVirtual {
	v := k.vec()
	if k.wide {
		VPANDD_BCST(k.bits(b), x, v)
	} else {
		VPAND(k.bits(b), x, v)
	}
	return v
}

func (k *kit) xor(x VecVirtual, b uint32) VecVirtual {
	v := k.vec()
	if k.wide {
		VPXORD_BCST(k.bits(b), x, v)
	} else {
		VPXOR(k.bits(b), x, v)
	}
	return v
}

// Operations on whole numbers of 32 bits, which a binary may be as well.
var (
	intAdd = binary{VPADDD, VPADDD_BCST}
	intMul = binary{VPMULLD, VPMULLD_BCST}
)

// shiftXor is x ^= x >> n.
func (k *kit) shiftXor(x VecVirtual, n uint64) {
	v := k.vec()
	VPSRLD(Imm(n), x, v)
	if k.wide {
		VPXORD(v, x, x)
	} else {
		VPXOR(v, x, x)
	}
}

func (k *kit) orInto(x, y VecVirtual) {
	if k.wide {
		VPORD(y, x, x)
	} else {
		VPOR(y, x, x)
	}
}

// broadcast fills v with a 32-bit number.
func (k *kit) broadcast(r Register, v VecVirtual) {
	if k.wide {
		VPBROADCASTD(r, v)
		return
	}
	VMOVD(r, v.AsX())
	VPBROADCASTD(v.AsX(), v)
}

const signBit = 0x80000000

func (k *kit) neg(x VecVirtual) VecVirtual { return k.xor(x, signBit) }
func (k *kit) abs(x VecVirtual) VecVirtual { return k.and(x, signBit-1) }

// at is where one vector of a loop lies: element index + offset of every stream,
// or the tail, where the mask says how much of it there is.
type at struct {
	k     *kit
	index Register
	u     int // vector of the unrolled group
	tail  bool
}

func (a *at) mem(base Register) Mem {
	return Mem{Base: base, Index: a.index, Scale: 4, Disp: 4 * a.k.lanes * a.u}
}

// load reads a vector; lanes beyond the end are 0.
func (a *at) load(base Register) VecVirtual {
	v := a.k.vec()
	switch {
	case !a.tail:
		VMOVUPS(a.mem(base), v)
	case a.k.wide:
		VMOVUPS_Z(a.mem(base), a.k.mask, v)
	default:
		VMASKMOVPS(a.mem(base), a.k.mask, v)
	}
	return v
}

func (a *at) store(v VecVirtual, base Register) {
	switch {
	case !a.tail:
		VMOVUPS(v, a.mem(base))
	case a.k.wide:
		VMOVUPS(v, a.k.mask, a.mem(base))
	default:
		VMASKMOVPS(v, a.k.mask, a.mem(base))
	}
}

// keep zeroes the lanes beyond the end, before they enter a sum.
func (a *at) keep(v VecVirtual) VecVirtual {
	if !a.tail {
		return v
	}
	w := a.k.vec()
	if a.k.wide {
		VMOVAPS_Z(v, a.k.mask, w)
	} else {
		VANDPS(a.k.mask, v, w)
	}
	return w
}

// loop runs body over n elements, unroll vectors at a time, then one at a time,
// then what is left under a mask. An element's result does not depend on which
// of the three it falls to.
func (k *kit) loop(tag string, n Register, unroll int, body func(a *at)) {
	i, last := GP64(), GP64()
	label := func(s string) string { return tag + s }
	XORQ(i, i)
	MOVQ(n, last)
	SUBQ(Imm(uint64(unroll*k.lanes)), last)
	JL(LabelRef(label("ones")))
	Label(label("group"))
	for u := range unroll {
		body(&at{k: k, index: i, u: u})
	}
	ADDQ(Imm(uint64(unroll*k.lanes)), i)
	CMPQ(i, last)
	JLE(LabelRef(label("group")))
	Label(label("ones"))
	if unroll > 1 {
		MOVQ(n, last)
		SUBQ(Imm(uint64(k.lanes)), last)
		CMPQ(i, last)
		JG(LabelRef(label("tail")))
		Label(label("one"))
		body(&at{k: k, index: i})
		ADDQ(Imm(uint64(k.lanes)), i)
		CMPQ(i, last)
		JLE(LabelRef(label("one")))
	}
	Label(label("tail"))
	MOVQ(n, last)
	SUBQ(i, last)
	JZ(LabelRef(label("end")))
	k.setMask(last)
	body(&at{k: k, index: i, tail: true})
	Label(label("end"))
}

// setMask makes the mask of the first n lanes, 0 < n < lanes.
func (k *kit) setMask(n GPVirtual) {
	if k.wide {
		ones := GP32()
		MOVL(U32(0xffffffff), ones)
		BZHIL(n.As32(), ones, ones)
		m := K()
		KMOVW(ones, m)
		k.mask = m
		return
	}
	m := YMM()
	VMOVD(n.As32(), m.AsX())
	VPBROADCASTD(m.AsX(), m)
	VPCMPGTD(k.iota(), m, m)
	k.mask = m
}

// iota is the vector 0, 1, 2 ...
func (k *kit) iota() Mem {
	const key = 0xffffffff
	if m, ok := k.ints[key]; ok {
		return m
	}
	m := GLOBL("iota"+k.suffix, RODATA|NOPTR)
	for i := range k.lanes {
		DATA(4*i, U32(uint32(i)))
	}
	k.ints[key] = m
	return m
}

// sums are the running sums of a reduction, one a vector of the unrolled group.
type sums []VecVirtual

func (k *kit) sums(n int) sums {
	s := make(sums, n)
	for i := range s {
		s[i] = k.zero()
	}
	return s
}

// fold combines the running sums with an operation, in a fixed order, and leaves
// the result in lane 0 of a narrow register.
func (k *kit) fold(s sums, o func(...Op)) VecVirtual {
	for len(s) > 1 {
		for i := range len(s) / 2 {
			o(s[i+(len(s)+1)/2], s[i], s[i])
		}
		s = s[:(len(s)+1)/2]
	}
	v := s[0]
	if k.wide {
		h := ZMM()
		VEXTRACTF64X4(Imm(1), v, h.AsY())
		o(h.AsY(), v.AsY(), v.AsY())
	}
	h := YMM()
	VEXTRACTF128(Imm(1), v.AsY(), h.AsX())
	o(h.AsX(), v.AsX(), v.AsX())
	VPERMILPS(Imm(0x4e), v.AsX(), h.AsX())
	o(h.AsX(), v.AsX(), v.AsX())
	VPERMILPS(Imm(0xb1), v.AsX(), h.AsX())
	o(h.AsX(), v.AsX(), v.AsX())
	return v
}

// result stores lane 0 as a result and ends the function.
func (k *kit) result(name string, v VecVirtual) {
	Store(v.AsX(), Return(name))
}

func (k *kit) done() {
	VZEROUPPER()
	RET()
}

// pointer loads the base of a slice parameter.
func pointer(name string) Register { return Load(Param(name).Base(), GP64()) }
func length(name string) GPVirtual { return Load(Param(name).Len(), GP64()).(GPVirtual) }
