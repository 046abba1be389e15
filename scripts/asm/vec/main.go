// Command vec writes the vector assembly of pkg/kernel with avo: everything
// that works along rows, for AVX-512 or for AVX2.
//
//	go run ./vec -isa 512 -out FILE.s -stubs FILE.go -pkg kernel
//	go run ./vec -isa 512 -block -out FILE.s -pkg kernel
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/build"
)

func main() {
	isa := flag.Int("isa", 512, "vector bits: 512 or 256")
	block := flag.Bool("block", false, "write the block product instead")
	flag.Parse()
	if *isa != 512 && *isa != 256 {
		fmt.Fprintf(os.Stderr, "vec: no instruction set of %d bits, want 512 or 256\n", *isa)
		os.Exit(2)
	}
	build.ConstraintExpr("amd64")
	k := newKit(*isa == 512)
	if *block {
		k.block()
		build.Generate()
		return
	}
	rows(k)
	norms(k)
	activations(k)
	gated(k)
	softmax(k)
	softCap(k)
	rotary(k)
	optimizer(k)
	k.transpose()
	k.dots()
	k.weigh()
	k.gather("gather", false, "is dst[r·ds+c] = src[r·ss+c] for rows r and columns c.")
	k.bf16()
	if !k.wide {
		k.gather("gatherRoomy", true, "is gather that may write up to a vector behind each row before it writes the next.")
		k.bytes8() // AVX-512 takes these as well
		k.int8()
	}
	build.Generate()
}
