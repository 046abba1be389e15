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
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// units are the files that can be written.
var units = map[string]func(){
	"pause": func() {
		pause()
		fetchRows()
	},
	"peak":    peak,
	"tile256": func() { tile("tile256", avx2, fma) },
	"tile512": func() { tile("tile512", avx512, fma) },
	"tilebf16": func() {
		tile("tileBF16", avx512, func(x, y, acc Op) { vdpbf16ps(x.(Register), y.(Register), acc.(Register)) })
	},
	"skinny256": func() { skinny("256", avx2, []int{4, 4, 4, 3}, []int{8, 6, 4, 3, 2, 2}) },
	"panel256": func() {
		panel("panel256", avx2, panelForm{4, 6})
		panel("panelMixed256", avx2, panelForm{2, 6})
		panelColumns("panelColumns256", avx2)
		panelAhead("panelAhead256", "panelWiden256", avx2)
	},
	"skinny512":  func() { skinny("512", avx512, []int{4, 4, 4, 4, 4, 4}, []int{8, 8, 8, 6, 5, 4, 3, 2}) },
	"skinnybf16": func() { skinnyDot("skinnyDotBF16", avx512, pairDot(), []int{4, 4, 4, 4, 4, 4}) },
	"int8": func() {
		int8Turn()
		int8Mul("int8Mul256", int8AVX2)
		int8Row()
		rowsQ8()
		rowQ8()
	},
	"int8vnni": func() { int8Mul("int8MulVNNI", int8VNNI) },
	"pack256": func() {
		packCols("packCols256", plain(avx2))
		packRows("packRows256", plain(avx2))
	},
	"pack512": func() {
		packCols("packCols512", plain(avx512))
		packRows("packRows512", plain(avx512))
	},
	"packbf16": func() {
		packCols("packColsRounded", rounded)
		packRows("packRowsRounded", rounded)
		packCols("packColsBF16", bf16)
		packRows("packRowsBF16", bf16)
	},
}

func fma(x, y, acc Op) { build.VFMADD231PS(x, y, acc) }

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
