package main

import (
	. "github.com/mmcloughlin/avo/build"
)

// pause writes the hint of a loop that waits for another thread.
func pause() {
	TEXT("pause", NOSPLIT, "func()")
	Doc("pause waits for a few dozen cycles.")
	PAUSE()
	RET()
}
