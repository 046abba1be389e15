package kernel

import "golang.org/x/sys/cpu"

func nativePaths() []*path {
	x, have := &cpu.X86, []*path(nil)
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		have = append(have, &path{
			name: "avx2", mr: 6, nr: 16, kc: 384, cache: 160 << 10,
			tile: tile256, pack: pack256,
			skinnyDot: skinnyDot256, skinnyDotMixed: skinnyDotMixed256, skinnyDotCols: []int{4, 4, 4, 3},
			skinnyRows: skinnyRows256, skinnyRowsMixed: skinnyRowsMixedVec256, skinnyStrip: []int{64, 48, 32, 24, 16, 16}, skinnyVector: 8,
			skinnyMost: 16, skinnyMostMixed: 128, skinnyMostDot: 16, skinnyBlock: 64, skinnyPiece: 24 << 10, skinnyBlockDot: 12, skinnySliceDot: 512,
			wideDot: [2]int{12, 512}, int8Turn: int8Turn256, int8Mul: int8Mul256, int8Row: int8Row256, rowsQ8: rowsQ8256, rowQ8: rowQ8256, panel: &panel256Form,
			fetchRows: fetchRows, peak: peak256, peakOps: 12 * 8 * 2,
			vecOps: &vecOps256,
		})
	}
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasBMI2 {
		widest := &path{
			name: "avx512", mr: 14, nr: 32, kc: 1024, cache: 448 << 10,
			tile: tile512, pack: pack512,
			bf16: x.HasAVX512BF16, tileBF16: tileBF16, packBF16: packBF16,
			skinnyDot: skinnyDot512, skinnyDotMixed: skinnyDotMixed512, skinnyDotBF16: skinnyDotBF16, skinnyDotCols: []int{4, 4, 4, 4, 4, 4},
			skinnyRows: skinnyRows512, skinnyRowsMixed: skinnyRowsMixed512, skinnyStrip: []int{128, 128, 128, 96, 80, 64, 48, 32}, skinnyVector: 16,
			skinnyMost: 8, skinnyMostMixed: 8, skinnyMostDot: 16, skinnyBlock: 384, skinnyBlockDot: 4,
			wideDot: [2]int{4, 1024}, int8Turn: int8Turn256, int8Mul: int8Mul256, int8Row: int8Row256, rowsQ8: rowsQ8256, rowQ8: rowQ8256,
			fetchRows: fetchRows, peak: peak512, peakBF16: peakBF16, peakOps: 24 * 16 * 2,
			vecOps: &vecOps512,
		}
		if x.HasAVX512VNNI {
			widest.int8Mul = int8MulVNNI
		}
		have = append(have, widest)
	}
	return have
}

var panel256Form = panelForm{
	rows: 16, least: 13, most: 128, slice: 512, wide: 12,
	columns: columnKernel{cols: 16, deep: 192, run: panelColumns256},
	f32:     panelKernel{cols: 6, strip: 40, run: panel256}, bf16: panelKernel{cols: 6, strip: 48, run: panelMixed256},
	ahead: panelAhead256, widen: panelWiden256, deep: 192, turn: packCols256,
}

// skinnyRowsMixedVec256 leaves columns that do not fill a vector to Go: AVX2 cannot
// load a part of a vector of words.
func skinnyRowsMixedVec256(t *tile) {
	if t.cols < 8 {
		skinnyRowsPortable(t)
		return
	}
	skinnyRowsMixed256(t)
}
