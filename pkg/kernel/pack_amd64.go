package kernel

// pack512 and pack256 are packPortable in assembly.

func pack512(dst []float32, s side, n, w, k, size int) {
	if s.free == 1 {
		packRows512(&dst[0], &s.data[0], 4*s.inner, n, w, k, 4*size)
		return
	}
	for lo := 0; lo < n; lo += w {
		for i := 0; i < min(w, n-lo); i += 16 {
			packCols512(&dst[lo/w*size+i], &s.data[(lo+i)*s.free], 4*s.free, min(16, w, n-lo-i), w, k)
		}
	}
}

func pack256(dst []float32, s side, n, w, k, size int) {
	if s.free == 1 {
		packRows256(&dst[0], &s.data[0], 4*s.inner, n, w, k, 4*size)
		return
	}
	for lo := 0; lo < n; lo += w {
		for i := 0; i < min(w, n-lo); i += 8 {
			packCols256(&dst[lo/w*size+i], &s.data[(lo+i)*s.free], 4*s.free, min(8, w, n-lo-i), w, k)
		}
	}
}

// packBF16 packs pairs of bfloat16 that follow each other along the inner index,
// from float32 that it rounds or from bfloat16; a last value without a partner is
// paired with 0.
func packBF16(dst []float32, s side, n, w, k, size int) {
	if s.bf16 != nil {
		if s.free == 1 {
			packRowsBF16(&dst[0], &s.bf16[0], 2*s.inner, n, w, k, 4*size)
			return
		}
		for lo := 0; lo < n; lo += w {
			for i := 0; i < min(w, n-lo); i += 16 {
				packColsBF16(&dst[lo/w*size+i], &s.bf16[(lo+i)*s.free], 2*s.free, min(16, w, n-lo-i), w, k)
			}
		}
		return
	}
	if s.free == 1 {
		packRowsRounded(&dst[0], &s.data[0], 4*s.inner, n, w, k, 4*size)
		return
	}
	for lo := 0; lo < n; lo += w {
		for i := 0; i < min(w, n-lo); i += 16 {
			packColsRounded(&dst[lo/w*size+i], &s.data[(lo+i)*s.free], 4*s.free, min(16, w, n-lo-i), w, k)
		}
	}
}
