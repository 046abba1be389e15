package kernel

// pack512 and pack256 are packPortable in assembly, but for the padding, which
// holds anything: the tiles never store what comes of it.

func pack512(dst []float32, s side, lo, n, w, k0, k int) {
	src := &s.data[lo*s.free+k0*s.inner]
	if s.free == 1 {
		packRows512(&dst[0], src, 4*s.inner, n, w, k)
		return
	}
	packCols512(&dst[0], src, 4*s.free, min(n, 16), w, k)
	if n > 16 {
		packCols512(&dst[16], &s.data[(lo+16)*s.free+k0*s.inner], 4*s.free, n-16, w, k)
	}
}

func pack256(dst []float32, s side, lo, n, w, k0, k int) {
	src := &s.data[lo*s.free+k0*s.inner]
	if s.free == 1 {
		packRows256(&dst[0], src, 4*s.inner, n, w, k)
		return
	}
	packCols256(&dst[0], src, 4*s.free, min(n, 8), w, k)
	if n > 8 {
		packCols256(&dst[8], &s.data[(lo+8)*s.free+k0*s.inner], 4*s.free, n-8, w, k)
	}
}
