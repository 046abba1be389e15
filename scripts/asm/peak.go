package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var zmm = [32]VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}

var ymm = [16]VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}

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
	loop("peak512", "peak512 does n times 24 multiply-and-adds of 16 values.", 24, func(i int) { VFMADD231PS(Z30, Z31, zmm[i]) })
	loop("peak256", "peak256 does n times 12 multiply-and-adds of 8 values.", 12, func(i int) { VFMADD231PS(Y14, Y15, ymm[i]) })
	loop("peakBF16", "peakBF16 does n times 24 dot products of 16 pairs of bfloat16.", 24, func(i int) { vdpbf16ps(30, 31, i) })
}
