package kernel

import "math"

// ToBF16 rounds src to bfloat16, the upper half of a float32, to the nearest and
// ties to even; NaN stays NaN. dst is at least as long as src.
func ToBF16(dst []uint16, src []float32) {
	n := len(src) &^ (bf16Block - 1)
	current.vecOps.toBF16(dst[:n], src[:n])
	toBF16Portable(dst[n:], src[n:])
}

// bf16Block is what the conversions take at a time: a vector of any path.
const bf16Block = 16

func toBF16Portable(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = uint16(math.Float32bits(roundBF16(v)) >> 16)
	}
}

// FromBF16 widens src, at least as long as dst, to dst. It is exact.
func FromBF16(dst []float32, src []uint16) {
	n := len(dst) &^ (bf16Block - 1)
	current.vecOps.fromBF16(dst[:n], src[:n])
	fromBF16Portable(dst[n:], src[n:])
}

func fromBF16Portable(dst []float32, src []uint16) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] = math.Float32frombits(uint32(v) << 16)
	}
}

// roundBF16 is the bfloat16 next to v.
func roundBF16(v float32) float32 {
	b := math.Float32bits(v)
	if v != v {
		return math.Float32frombits(b&0xffff0000 | 0x400000)
	}
	return math.Float32frombits((b + 0x7fff + b>>16&1) & 0xffff0000)
}

// roundPortable rounds x to bfloat16 in place.
func roundPortable(x []float32) {
	for i, v := range x {
		x[i] = roundBF16(v)
	}
}
