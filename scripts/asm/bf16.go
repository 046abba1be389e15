package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
)

// code emits machine code that the Go assembler has no name for.
func code(b ...byte) {
	for i := range b {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.Imm(uint64(b[i]))}})
	}
}

// evexRRR encodes a 512-bit EVEX instruction on three registers:
// zmm[dst] = op(zmm[src1], zmm[src2]). Intel SDM volume 2, section 2.7.1.
func evexRRR(mm, pp, w, op byte, dst, src1, src2 int) {
	bit := func(v, n int) byte { return byte(v>>n) & 1 }
	p0 := (bit(dst, 3)^1)<<7 | (bit(src2, 4)^1)<<6 | (bit(src2, 3)^1)<<5 | (bit(dst, 4)^1)<<4 | mm
	p1 := w<<7 | (^byte(src1)&15)<<3 | 1<<2 | pp
	p2 := byte(2<<5) | (bit(src1, 4)^1)<<3
	code(0x62, p0, p1, p2, op, 0xC0|byte(dst&7)<<3|byte(src2&7))
}

// vdpbf16ps adds to each float32 of zmm[acc] the dot product of the pairs of
// bfloat16 at its place in zmm[x] and zmm[y]: EVEX.512.F3.0F38.W0 52 /r.
func vdpbf16ps(x, y, acc int) { evexRRR(2, 2, 0, 0x52, acc, x, y) }
