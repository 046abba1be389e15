package main

import (
	"encoding/binary"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// code emits six bytes of machine code that the Go assembler has no name for.
func code(b [6]byte) {
	long, word := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint16(b[4:])
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []operand.Op{operand.U32(long)}})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []operand.Op{operand.U16(word)}})
}

// evex encodes a 512-bit EVEX instruction of map 0F38 on three registers, to =
// op(x, y). Intel SDM volume 2, section 2.7.1.
func evex(prefix, op byte, to, x, y reg.Register) {
	number := func(r reg.Register) byte { return byte(slices.Index(avx512.regs, r.(reg.VecPhysical))) }
	d, v, m := number(to), number(x), number(y)
	off := func(v byte, n int) byte { return v>>n&1 ^ 1 }
	p0 := off(d, 3)<<7 | off(m, 4)<<6 | off(m, 3)<<5 | off(d, 4)<<4 | 2
	p1 := ^v&15<<3 | 1<<2 | prefix
	p2 := 2<<5 | off(v, 4)<<3
	code([6]byte{0x62, p0, p1, p2, op, 0xc0 | d&7<<3 | m&7})
}

// vdpbf16ps adds to each float32 of acc the dot product of the pairs of bfloat16
// at its place in x and y: EVEX.512.F3.0F38.W0 52 /r.
func vdpbf16ps(x, y, acc reg.Register) { evex(2, 0x52, acc, x, y) }

// vcvtne2ps2bf16 rounds lo and hi to bfloat16, those of lo in the lower half of
// to: EVEX.512.F2.0F38.W0 72 /r.
func vcvtne2ps2bf16(lo, hi, to reg.Register) { evex(3, 0x72, to, hi, lo) }

var zip *operand.Mem

// zipWords is the permutation that interleaves the halves of a vector of words.
func zipWords() operand.Mem {
	if zip == nil {
		m := GLOBL("zip", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, operand.U32(uint32(i|(16+i)<<16)))
		}
		zip = &m
	}
	return *zip
}
