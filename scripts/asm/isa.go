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
	reg   func(i int) VecPhysical
	// The last registers hold B (two) and broadcast values of A (temps).
	b     [2]VecPhysical
	temps []VecPhysical
	zero  func(r VecPhysical)
	// masks prepares masks of the first n columns, n in (0, 2·lanes].
	masks func(n GPVirtual)
	// load and store move the columns that masks left, of vector v; load
	// fills the others with zeros. store may clobber the B registers.
	load  func(v int, from Mem, to VecPhysical)
	store func(v int, from VecPhysical, to Mem)
}

var avx512 = isa{
	lanes: 16, mr: 14,
	reg:   func(i int) VecPhysical { return zmm[i] },
	b:     [2]VecPhysical{Z28, Z29},
	temps: []VecPhysical{Z30, Z31},
	zero:  func(r VecPhysical) { VPXORD(r, r, r) },
	masks: func(n GPVirtual) {
		ones, shift := GP64(), GP64()
		MOVQ(U32(32), shift)
		SUBQ(n, shift)
		MOVL(U32(0xffffffff), ones.As32())
		SHRXL(shift.As32(), ones.As32(), ones.As32())
		KMOVW(ones.As32(), K1)
		SHRL(Imm(16), ones.As32())
		KMOVW(ones.As32(), K2)
	},
	load:  func(v int, from Mem, to VecPhysical) { VMOVUPS_Z(from, mask(v), to) },
	store: func(v int, from VecPhysical, to Mem) { VMOVUPS(from, mask(v), to) },
}

// mask is the mask of vector v of a tile's columns.
func mask(v int) Register { return [...]Register{K1, K2}[v] }

var avx2 = isa{
	lanes: 8, mr: 6,
	reg:   func(i int) VecPhysical { return ymm[i] },
	b:     [2]VecPhysical{Y12, Y13},
	temps: []VecPhysical{Y14, Y15},
	zero:  func(r VecPhysical) { VXORPS(r, r, r) },
	masks: func(n GPVirtual) {
		// The masks stay in the registers of B: lane i is on when i < n.
		VMOVD(n.As32(), X14)
		VPBROADCASTD(X14, Y14)
		VPCMPGTD(iota8(0), Y14, Y12)
		VPCMPGTD(iota8(8), Y14, Y13)
	},
	load:  func(v int, from Mem, to VecPhysical) { VMASKMOVPS(from, ymm[12+v], to) },
	store: func(v int, from VecPhysical, to Mem) { VMASKMOVPS(from, ymm[12+v], to) },
}

var iotas *Mem

// iota8 is a constant vector that counts up from first (0 or 8).
func iota8(first int) Mem {
	if iotas == nil {
		m := GLOBL("lanes", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(uint32(i)))
		}
		iotas = &m
	}
	return iotas.Offset(4 * first)
}
