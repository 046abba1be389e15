package kernel

import "golang.org/x/sys/cpu"

func nativePaths() []*path {
	x, have := &cpu.X86, []*path(nil)
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		have = append(have, &path{
			name: "avx2", mr: 6, nr: 16, kc: 384, cache: 160 << 10,
			tile: tile256, pack: pack256, round: roundPortable,
			peak: peak256, peakOps: 12 * 8 * 2,
			verbs: &verbs256,
		})
	}
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasBMI2 {
		have = append(have, &path{
			name: "avx512", mr: 14, nr: 32, kc: 1024, cache: 448 << 10,
			tile: tile512, pack: pack512, round: roundPortable,
			bf16: x.HasAVX512BF16, tileBF16: tileBF16, packBF16: packBF16,
			peak: peak512, peakBF16: peakBF16, peakOps: 24 * 16 * 2,
			verbs: &verbs512,
		})
	}
	return have
}
