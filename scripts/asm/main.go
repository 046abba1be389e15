// Command asm writes the assembly of pkg/kernel with avo:
//
//	go run . -unit tile512 -out FILE.s -pkg kernel
//
// generate.sh runs it for every unit.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/mmcloughlin/avo/build"
)

// units are the files that can be written.
var units = map[string]func(){
	"pause":   pause,
	"peak":    peak,
	"tile512": func() { tile("tile512", avx512) },
	"pack": func() {
		packCols("packCols512", avx512)
		packRows("packRows512", avx512)
		packCols("packCols256", avx2)
		packRows("packRows256", avx2)
	},
	"tile256": func() { tile("tile256", avx2) },
}

func main() {
	unit := flag.String("unit", "", "what to write")
	flag.Parse()
	write, ok := units[*unit]
	if !ok {
		fmt.Fprintf(os.Stderr, "asm: no unit %q, want one of %v\n", *unit, slices.Sorted(maps.Keys(units)))
		os.Exit(2)
	}
	build.ConstraintExpr("amd64")
	write()
	build.Generate()
}
