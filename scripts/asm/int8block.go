package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// int8AVX2 multiplies with VPMADDUBSW, unsigned bytes by signed ones: |b| by a with b's sign; two
// products of at most 127·128 fit its 16 bits.
var int8AVX2 = int8Form{
	constants: func() {
		ones := Y15
		VPCMPEQW(ones, ones, ones)
		VPSRLW(Imm(15), ones, ones)
	},
	block: func(pa, pb Register, whole []VecPhysical) {
		ones, u, w := Y15, Y14, Y13
		for f := range int8Block / 4 {
			VMOVDQU(Mem{Base: pb, Disp: 32 * f}, w)
			VPABSB(w, u)
			for i, sum := range whole {
				x := avx2.regs[8+i]
				VPBROADCASTD(Mem{Base: pa, Disp: int8Block*i + 4*f}, x)
				VPSIGNB(w, x, x)
				VPMADDUBSW(x, u, x)
				if f == 0 {
					VPMADDWD(ones, x, sum)
					continue
				}
				VPMADDWD(ones, x, x)
				VPADDD(x, sum, sum)
			}
		}
	},
}

// int8VNNI multiplies with VPDPBUSD, which adds four products of unsigned bytes and signed ones to
// a number of 32 bits: a+128 by b. What that is too much, 128 times the sum of b, is counted once
// for all rows. Every row has two sums, for values that take turns.
var int8VNNI = int8Form{
	constants: func() {
		r := GP32()
		MOVL(U32(0x80808080), r)
		VPBROADCASTD(r, Y15)
	},
	block: func(pa, pb Register, whole []VecPhysical) {
		top, tooMuch, w := Y15, Y14, Y13 // 128 in every byte, a+128 being a with its top bit turned
		second := []VecPhysical{Y16, Y17, Y18, Y19}
		VPXOR(tooMuch, tooMuch, tooMuch)
		for i, sum := range whole {
			VPXOR(sum, sum, sum)
			VPXORD(second[i], second[i], second[i])
		}
		for f := range int8Block / 4 {
			VMOVDQU(Mem{Base: pb, Disp: 32 * f}, w)
			vpdpbusd(w, top, tooMuch)
			for i, sum := range whole {
				x := avx2.regs[8+i]
				VPXORD_BCST(Mem{Base: pa, Disp: int8Block*i + 4*f}, top, x)
				if f%2 == 1 {
					sum = second[i]
				}
				vpdpbusd(w, x, sum)
			}
		}
		for i, sum := range whole {
			VPSUBD(tooMuch, sum, sum)
			VPADDD(second[i], sum, sum)
		}
	},
}

// vpdpbusd adds the products of signed and unsigned bytes to acc, by fours; avo does not know it.
func vpdpbusd(signed, unsigned, acc Register) {
	Instruction(&ir.Instruction{Opcode: "VPDPBUSD", Operands: []Op{signed, unsigned, acc}, Inputs: []Op{signed, unsigned, acc}, Outputs: []Op{acc}})
}
