package kernel

import (
	"encoding/binary"
	"math"
)

// Weights of eight bits are stored as GGUF's Q8_0: blocks of Q8Block values that
// follow each other in a row, each a scale of half precision and the values over the
// scale as signed bytes, Q8Bytes in all. A row is whole blocks.
const (
	Q8Block = 32
	Q8Bytes = 2 + Q8Block
)

// ToQ8 quantises src, whole blocks, to dst: the scale is the largest magnitude over
// 127, and values are rounded to the nearest, halves away from zero, as GGUF's
// reference does it. A value that is not finite spoils its block: its scale is NaN.
func ToQ8(dst []byte, src []float32) {
	blocks := len(src) / Q8Block
	if len(src)%Q8Block != 0 || len(dst) < blocks*Q8Bytes {
		panic(badLength)
	}
	for b := range blocks {
		x, y := src[b*Q8Block:][:Q8Block], dst[b*Q8Bytes:][:Q8Bytes]
		top := float32(0)
		for _, v := range x {
			top = max(top, float32(math.Abs(float64(v)))) // NaN if any is
		}
		scale, inv := top/127, float32(0)
		if scale != 0 {
			inv = 1 / scale
		}
		if !(top <= math.MaxFloat32) {
			scale, inv = float32(math.NaN()), 0
		}
		binary.LittleEndian.PutUint16(y, toFloat16(scale))
		for i, v := range x {
			y[2+i] = 0
			if inv != 0 {
				y[2+i] = byte(int8(math.Round(float64(v * inv))))
			}
		}
	}
}

// FromQ8 widens src, at least as many blocks as dst has, to dst, whole blocks.
func FromQ8(dst []float32, src []byte) {
	if len(dst)%Q8Block != 0 || len(src) < len(dst)/Q8Block*Q8Bytes {
		panic(badLength)
	}
	current.vecOps.fromQ8(dst, src, 1, len(dst)/Q8Block, 0, 0)
}

// fromQ8Portable widens blocks of each of some rows; these are ds values and ss bytes
// apart.
func fromQ8Portable(dst []float32, src []byte, rows, blocks, ds, ss int) {
	for r := range rows {
		for b := range blocks {
			q := src[r*ss+b*Q8Bytes:][:Q8Bytes]
			part8(dst[r*ds+b*Q8Block:][:Q8Block], q, 0)
		}
	}
}

// part8 widens values of a block, from number off on.
func part8(dst []float32, block []byte, off int) {
	d := fromFloat16(binary.LittleEndian.Uint16(block))
	for i, q := range block[2+off:][:len(dst)] {
		dst[i] = d * float32(int8(q))
	}
}

// fromQ8Rows widens rows of n values, the first from number at on, stride values of the
// source and ds of dst apart. Rows may begin and end within blocks; stride is whole ones.
func fromQ8Rows(dst []float32, ds int, src []byte, at, stride, rows, n int) {
	ss := stride / Q8Block * Q8Bytes
	for off := at % Q8Block; n > 0 && rows > 0; off = 0 {
		from, whole := src[at/Q8Block*Q8Bytes:], n/Q8Block
		m := whole * Q8Block
		if off == 0 && whole > 0 {
			current.vecOps.fromQ8(dst, from, rows, whole, ds, ss)
		} else {
			m = min(n, Q8Block-off)
			for r := range rows {
				part8(dst[r*ds:][:m], from[r*ss:], off)
			}
		}
		if at, n = at+m, n-m; n > 0 {
			dst = dst[m:]
		}
	}
}

// fromFloat16 is a number of half precision, exactly.
func fromFloat16(h uint16) float32 {
	sign, body := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	if body >= 0x7c00 { // infinite or NaN
		return math.Float32frombits(sign | 0x7f800000 | (body&0x3ff)<<13)
	}
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(body<<13)*0x1p112))
}

// toFloat16 is the number of half precision next to x, ties to even.
func toFloat16(x float32) uint16 {
	b := math.Float32bits(x)
	sign, a := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case a > 0x7f800000:
		return sign | 0x7e00
	case a >= 0x477ff000: // rounds to what is too large
		return sign | 0x7c00
	case a < 0x38800000: // subnormal: a multiple of 2⁻²⁴
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(a))*0x1p24))
	}
	return sign | uint16((a-0x38000000+0xfff+a>>13&1)>>13)
}
