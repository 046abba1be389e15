package kernel

import "golang.org/x/sys/cpu"

func nativePaths() []*path {
	x, have := &cpu.X86, []*path(nil)
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		have = append(have, &path{
			name: "avx2", mr: 6, nr: 16, kc: 384, cache: 160 << 10,
			tile: tile256, pack: pack256,
			thinDot: thinDot256, thinDotHalves: thinDotHalves256, thinDotCols: []int{4, 4, 4, 3},
			thinRows: thinRows256, thinRowsHalves: thinRowsWords256, thinStrip: []int{64, 48, 32, 24}, thinVector: 8,
			thinMost: 16, thinMostDot: 16, thinBlock: 96, thinBlockDot: 12, thinSlice: 256, thinSliceDot: 512,
			wideRows: [2]int{192, 32}, wideDot: [2]int{12, 512},
			peak: peak256, peakOps: 12 * 8 * 2,
			verbs: &verbs256,
		})
	}
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasBMI2 {
		have = append(have, &path{
			name: "avx512", mr: 14, nr: 32, kc: 1024, cache: 448 << 10,
			tile: tile512, pack: pack512,
			bf16: x.HasAVX512BF16, tileBF16: tileBF16, packBF16: packBF16,
			thinDot: thinDot512, thinDotHalves: thinDotHalves512, thinDotBF16: thinDotBF16, thinDotCols: []int{4, 4, 4, 4, 4, 4},
			thinRows: thinRows512, thinRowsHalves: thinRowsHalves512, thinStrip: []int{128, 128, 128, 96, 80, 64, 48, 32}, thinVector: 16,
			thinMost: 8, thinMostDot: 16, thinBlock: 384, thinBlockDot: 4,
			wideRows: [2]int{256, 32}, wideDot: [2]int{4, 1024},
			peak: peak512, peakBF16: peakBF16, peakOps: 24 * 16 * 2,
			verbs: &verbs512,
		})
	}
	return have
}

// thinRowsWords256 leaves columns that do not fill a vector to Go: AVX2 cannot
// load a part of a vector of words.
func thinRowsWords256(t *tile) {
	if t.cols < 8 {
		thinRowsPortable(t)
		return
	}
	thinRowsHalves256(t)
}
