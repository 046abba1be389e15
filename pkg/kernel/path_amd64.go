package kernel

import "golang.org/x/sys/cpu"

func nativePaths() []*path {
	var have []*path
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		have = append(have, &path{name: "avx2", mr: 6, nr: 16, kc: 384, cache: 160 << 10, tile: tile256, pack: pack256, peak: peak256, peakOps: 12 * 8 * 2, verbs: &verbs256})
	}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2 {
		have = append(have, &path{name: "avx512", mr: 14, nr: 32, kc: 1024, cache: 448 << 10, tile: tile512, pack: pack512, peak: peak512, peakBF16: peakBF16, peakOps: 24 * 16 * 2, verbs: &verbs512})
	}
	return have
}
