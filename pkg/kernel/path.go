package kernel

import (
	"fmt"
	"strings"
	"unsafe"
)

// A path is one way to do the arithmetic: the instruction set that the inner
// kernels are written for. It is chosen when the program starts, the fastest
// that the CPU supports, and may be forced by UsePath.
type path struct {
	name   string
	mr, nr int // rows and columns of a register tile
	kc     int // inner length of packed panels
	cache  int // bytes of A that a worker keeps packed
	tile   func(t *tile)
	pack   func(dst []float32, s side, n, w, k, size int) // see packPortable

	bf16     bool          // has bfloat16 dot-product instructions, and so:
	tileBF16 func(t *tile) // a tile whose panels hold pairs of bfloat16
	packBF16 func(dst []float32, s side, n, w, k, size int)

	// Skinny products, see skinny.go: of B as float32 and as bfloat16.
	skinnyDot, skinnyDotMixed   func(t *tile)
	skinnyDotBF16               func(t *tile) // of both as bfloat16, A's rows as pairs in float32s; nil without bf16
	skinnyRows, skinnyRowsMixed func(t *tile)
	skinnyDotCols               []int // rows of B that skinnyDot takes, by rows of A less one
	skinnyStrip                 []int // columns that skinnyRows takes, likewise
	skinnyVector                int   // or up to so many columns
	// Rows of a product that is skinny whatever B is, of B as bfloat16, and of B transposed; of those with
	// more rows than a kernel takes, the columns done for all rows before the next, the
	// bytes of a piece of B of bfloat16 that is copied (0: no piece is, of float32 neither), and with B transposed the slices of the inner length (0: whole).
	skinnyMost, skinnyMostMixed int
	skinnyMostDot               int
	skinnyBlock, skinnyBlockDot int
	skinnyPiece, skinnySliceDot int
	wideDot                     [2]int     // columns and inner length of a piece of transposed B of eight bits
	panel                       *panelForm // of products of more rows; nil where there is none

	int8Turn func(to []byte, scales []float32, from []byte, cols, stride int) // see int8TurnPortable
	int8Mul  func(t *int8Tile)                                                // see int8MulPortable
	int8Row  func(t *int8Tile)                                                // see int8RowPortable; nil: columns are turned for one row too
	rowsQ8   func(t *tile)                                                    // see rowsQ8Portable
	rowQ8    func(t *tile)                                                    // see rowQ8Portable; nil: products of one row are no other than those of few

	// fetchRows has rows of memory read to a cache meanwhile; nil: nothing is.
	fetchRows func(x unsafe.Pointer, rows, bytes, stride int)

	peak, peakBF16 func(n int) // n rounds of peakOps, or 2·peakOps in bfloat16
	peakOps        int

	vecOps *vecOps
}

// paths are those that this CPU can run, slowest first.
var paths = append([]*path{portablePath}, nativePaths()...)

var current = paths[len(paths)-1]

// Paths names the paths that this CPU can run, slowest first: "portable", then
// "avx2" and "avx512" where they exist.
func Paths() []string {
	names := make([]string, len(paths))
	for i, q := range paths {
		names[i] = q.name
	}
	return names
}

// UsePath forces the path of all later operations. It must not be called while
// one runs. An unknown name, or one that this CPU cannot run, is an error that
// lists the possible ones.
func UsePath(name string) error {
	for _, q := range paths {
		if q.name == name {
			current = q
			return nil
		}
	}
	return fmt.Errorf("kernel: no CPU path %q on this machine, want one of %s", name, strings.Join(Paths(), ", "))
}

// CurrentPath names the path in use.
func CurrentPath() string { return current.name }

// HasBF16 reports whether the path in use multiplies bfloat16 in hardware;
// otherwise bfloat16 products are emulated, with the same results to rounding.
func HasBF16() bool { return current.bf16 }
