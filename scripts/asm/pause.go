package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// pause writes the hint of a loop that waits for another thread.
func pause() {
	TEXT("pause", NOSPLIT, "func()")
	Doc("pause waits for a few dozen cycles.")
	PAUSE()
	RET()
}

// fetch writes the hint that memory will be read soon: four lines of 64 bytes at a time.
func fetch() {
	TEXT("fetchLines", NOSPLIT, "func(x *float32, lines int)")
	Doc("fetchLines fetches lines of memory, of four at a time, to the second cache.")
	x, lines := Load(Param("x"), GP64()), Load(Param("lines"), GP64())
	Label("loop")
	for i := range 4 {
		PREFETCHT1(Mem{Base: x, Disp: 64 * i})
	}
	ADDQ(U32(256), x)
	SUBQ(Imm(4), lines)
	JG(LabelRef("loop"))
	RET()
}
