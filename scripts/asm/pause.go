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

// fetchRows writes the hint for rows of memory.
func fetchRows() {
	TEXT("fetchRows", NOSPLIT, "func(x uintptr, rows, bytes, stride int)")
	Doc("fetchRows fetches the lines of rows of memory to the second cache.")
	x, rows := Load(Param("x"), GP64()), Load(Param("rows"), GP64())
	bytes, stride := Load(Param("bytes"), GP64()), Load(Param("stride"), GP64())
	p, left := GP64(), GP64()
	Label("row")
	MOVQ(x, p)
	MOVQ(bytes, left)
	Label("line")
	PREFETCHT1(Mem{Base: p})
	ADDQ(Imm(64), p)
	SUBQ(Imm(64), left)
	JG(LabelRef("line"))
	PREFETCHT1(Mem{Base: x, Index: bytes, Scale: 1, Disp: -1})
	ADDQ(stride, x)
	DECQ(rows)
	JNZ(LabelRef("row"))
	RET()
}
