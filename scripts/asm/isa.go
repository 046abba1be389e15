package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is what differs between the vector instruction sets.
type isa struct {
	lanes int // float32 values in a register
	mr    int // rows of the largest register tile
	regs  []VecPhysical
	// The last registers of a tile hold B (two) and broadcast values of A.
	// They are free for masks once the sums are done.
	b, temps []VecPhysical
	// mask number v (0 or 1) selects the lanes i with from+i < n, where from
	// is 0 or lanes.
	mask func(v int, n Register, from int)
	// load and store move the lanes that a mask selects; load fills the
	// others with zeros.
	load  func(v int, from Mem, to VecPhysical)
	store func(v int, from VecPhysical, to Mem)
}

func (s isa) zero(r VecPhysical) {
	if s.lanes == 16 {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
}

var avx512 = isa{
	lanes: 16, mr: 14,
	regs: []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31},
	b:     []VecPhysical{Z28, Z29},
	temps: []VecPhysical{Z30, Z31},
	mask: func(v int, n Register, from int) {
		ones := GP32()
		MOVL(U32(0xffffffff), ones)
		BZHIL(n.(GP).As32(), ones, ones)
		if from > 0 {
			SHRL(Imm(uint64(from)), ones)
		}
		KMOVW(ones, kmask[v])
	},
	load:  func(v int, from Mem, to VecPhysical) { VMOVUPS_Z(from, kmask[v], to) },
	store: func(v int, from VecPhysical, to Mem) { VMOVUPS(from, kmask[v], to) },
}

var kmask = []Register{K1, K2}

var avx2 = isa{
	lanes: 8, mr: 6,
	regs:  []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15},
	b:     []VecPhysical{Y12, Y13},
	temps: []VecPhysical{Y14, Y15},
	mask: func(v int, n Register, from int) {
		VMOVD(n.(GP).As32(), X14)
		VPBROADCASTD(X14, Y14)
		VPCMPGTD(iota16(from), Y14, ymask(v, Y14))
	},
	load:  func(v int, from Mem, to VecPhysical) { VMASKMOVPS(from, ymask(v, to), to) },
	store: func(v int, from VecPhysical, to Mem) { VMASKMOVPS(from, ymask(v, from), to) },
}

// ymask is mask number v for a register as long as r.
func ymask(v int, r VecPhysical) VecPhysical {
	if r.Size() == 16 {
		return []VecPhysical{X12, X13}[v]
	}
	return []VecPhysical{Y12, Y13}[v]
}

var iotas *Mem

// iota16 is a constant that counts up from first (0 or 8).
func iota16(first int) Mem {
	if iotas == nil {
		m := GLOBL("lanes", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(uint32(i)))
		}
		iotas = &m
	}
	return iotas.Offset(4 * first)
}
