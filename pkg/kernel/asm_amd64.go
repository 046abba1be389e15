package kernel

import "unsafe"

// Assembly written by scripts/asm.

// tile512 is the 14 x 32 register tile.
//
//go:noescape
func tile512(t *tile)

// tileBF16 is the 14 x 32 register tile of pairs of bfloat16.
//
//go:noescape
func tileBF16(t *tile)

// tile256 is the 6 x 16 register tile.
//
//go:noescape
func tile256(t *tile)

// packCols512 packs n <= 16 rows of k values, stride bytes apart, in k groups
// that are w values apart. Beyond n values a group holds nothing of meaning; it
// may write 16 values behind the last one.
//
//go:noescape
func packCols512(dst, src *float32, stride, n, w, k int)

// packRows512 cuts k rows of n values, stride bytes apart, in pieces of w <= 32
// values; piece i of a row goes to panel i, which begins at dst + i·panel bytes.
// It may write 32 values behind the last piece.
//
//go:noescape
func packRows512(dst, src *float32, stride, n, w, k, panel int)

// packCols256 is packCols512 for n <= 8.
//
//go:noescape
func packCols256(dst, src *float32, stride, n, w, k int)

// packRows256 is packRows512 for w <= 16.
//
//go:noescape
func packRows256(dst, src *float32, stride, n, w, k, panel int)

// packColsRounded is packCols512 with values rounded to bfloat16 and two of a row
// in a lane.
//
//go:noescape
func packColsRounded(dst, src *float32, stride, n, w, k int)

// packRowsRounded is packRows512 with values rounded to bfloat16 and two of a
// column in a lane.
//
//go:noescape
func packRowsRounded(dst, src *float32, stride, n, w, k, panel int)

// packColsBF16 is packColsRounded of bfloat16.
//
//go:noescape
func packColsBF16(dst *float32, src *uint16, stride, n, w, k int)

// packRowsBF16 is packRowsRounded of bfloat16.
//
//go:noescape
func packRowsBF16(dst *float32, src *uint16, stride, n, w, k, panel int)

// pause tells the processor that the thread waits for another one.
//
//go:noescape
func pause()

// fetchRows has rows of so many bytes, more than 0 of either, read to the second cache.
//
//go:noescape
func fetchRows(x unsafe.Pointer, rows, bytes, stride int)

// peak512 does n times 24 multiply-and-adds of 16 values.
//
//go:noescape
func peak512(n int)

// peak256 does n times 12 multiply-and-adds of 8 values.
//
//go:noescape
func peak256(n int)

// peakBF16 does n times 24 dot products of 16 pairs of bfloat16.
//
//go:noescape
func peakBF16(n int)

// skinnyDot256 multiplies up to skinnyDotRows rows of A by the rows of B, of
// which it always reads four and keeps cols.
//
//go:noescape
func skinnyDot256(t *tile)

// skinnyRows256 multiplies rows of A by a whole strip of columns of B
// or by up to skinnyVector.
//
//go:noescape
func skinnyRows256(t *tile)

// skinnyDotMixed256 multiplies up to skinnyDotRows rows of A by the rows of B as bfloat16, of
// which it always reads four and keeps cols.
//
//go:noescape
func skinnyDotMixed256(t *tile)

// skinnyRowsMixed256 multiplies rows of A by a whole strip of columns of B as
// bfloat16 or by up to skinnyVector.
//
//go:noescape
func skinnyRowsMixed256(t *tile)

// panel256 multiplies a panel of 16 rows of A by up to six rows of B.
//
//go:noescape
func panel256(t *tile)

// panelMixed256 multiplies a panel of 16 rows of A by up to six rows of B as bfloat16.
//
//go:noescape
func panelMixed256(t *tile)

// panelColumns256 multiplies up to six rows of a panel by 16 columns of B as bfloat16.
//
//go:noescape
func panelColumns256(t *tile)

// panelAhead256 multiplies a panel by six rows of B that were widened, and widens the next six.
//
//go:noescape
func panelAhead256(t *tile)

// panelWiden256 widens six rows of B.
//
//go:noescape
func panelWiden256(t *tile)

// skinnyDot512 multiplies up to skinnyDotRows rows of A by the rows of B, of
// which it always reads four and keeps cols.
//
//go:noescape
func skinnyDot512(t *tile)

// skinnyDotBF16 multiplies up to skinnyDotRows rows of A by the rows of B, of
// which cols count, both as bfloat16, A's in float32s of two.
//
//go:noescape
func skinnyDotBF16(t *tile)

// skinnyRows512 multiplies rows of A by a whole strip of columns of B
// or by up to skinnyVector.
//
//go:noescape
func skinnyRows512(t *tile)

// skinnyDotMixed512 multiplies up to skinnyDotRows rows of A by the rows of B as bfloat16, of
// which it always reads four and keeps cols.
//
//go:noescape
func skinnyDotMixed512(t *tile)

// skinnyRowsMixed512 multiplies rows of A by a whole strip of columns of B as
// bfloat16 or by up to skinnyVector.
//
//go:noescape
func skinnyRowsMixed512(t *tile)

// int8Turn256 is int8TurnPortable.
//
//go:noescape
func int8Turn256(to []byte, scales []float32, from []byte, cols, stride int)

// int8Mul256 is int8MulPortable for int8Cols columns.
//
//go:noescape
func int8Mul256(t *int8Tile)

// int8MulVNNI is int8MulPortable for int8Cols columns.
//
//go:noescape
func int8MulVNNI(t *int8Tile)

// int8Row256 is int8RowPortable, writing int8Cols columns.
//
//go:noescape
func int8Row256(t *int8Tile)

// rowsQ8256 is rowsQ8Portable.
//
//go:noescape
func rowsQ8256(t *tile)

// rowQ8256 is rowQ8Portable.
//
//go:noescape
func rowQ8256(t *tile)
