package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// peak writes loops of independent multiply-and-adds on registers: 24 vectors
// of 16 values (AVX-512), 12 of 8 (AVX2), and 24 bfloat16 dot products.
func peak() {
	loop := func(name, doc string, n int, one func(i int)) {
		TEXT(name, NOSPLIT, "func(n int)")
		Doc(doc)
		count := Load(Param("n"), GP64())
		Label("loop")
		for i := range n {
			one(i)
		}
		DECQ(count)
		JNZ(LabelRef("loop"))
		VZEROUPPER()
		RET()
	}
	loop("peak512", "peak512 does n times 24 multiply-and-adds of 16 values.", 24, func(i int) { VFMADD231PS(Z30, Z31, avx512.regs[i]) })
	loop("peak256", "peak256 does n times 12 multiply-and-adds of 8 values.", 12, func(i int) { VFMADD231PS(Y14, Y15, avx2.regs[i]) })
	loop("peakBF16", "peakBF16 does n times 24 dot products of 16 pairs of bfloat16.", 24, func(i int) { vdpbf16ps(Z30, Z31, avx512.regs[i]) })
}
