package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrNonFinite is returned when a number that is to be saved or loaded is
// infinite or not a number, or becomes so in a 16-bit type.
var ErrNonFinite = errors.New("checkpoint: not a finite number")

// dtypeBytes is the size in bytes of every type that safetensors files have.
var dtypeBytes = map[string]int64{
	"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
	"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}

// isFloat reports whether weights may have the type.
func isFloat(dtype string) bool { return dtype == "F32" || dtype == "F16" || dtype == "BF16" }

// Decode turns bytes of the type F32, F16 or BF16, little endian, into float32;
// src has as many as dst needs.
func Decode(dst []float32, src []byte, dtype string) {
	switch dtype {
	case "F32":
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case "BF16":
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case "F16":
		for i := range dst {
			dst[i] = fromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
}

// Encode is the inverse of Decode, rounding to nearest even. It returns the
// index of the first element that is not finite in the type, or -1.
func Encode(dst []byte, src []float32, dtype string) int {
	switch dtype {
	case "F32":
		for i, f := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(f))
		}
		return nonFinite(src)
	case "BF16":
		for i, f := range src {
			h := toBF16(f)
			if h&0x7f80 == 0x7f80 {
				return i
			}
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		}
	case "F16":
		for i, f := range src {
			h := toHalf(f)
			if h&0x7c00 == 0x7c00 {
				return i
			}
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		}
	}
	return -1
}

// nonFinite is the index of the first element that is infinite or not a
// number, or -1.
func nonFinite(x []float32) int {
	// 0·v is 0 for finite v and NaN for the others.
	var a, b, c, d float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += 0 * x[i]
		b += 0 * x[i+1]
		c += 0 * x[i+2]
		d += 0 * x[i+3]
	}
	for ; i < len(x); i++ {
		a += 0 * x[i]
	}
	if a+b+c+d == 0 {
		return -1
	}
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}

// badNumber is the error about element i (of all) of a tensor.
func badNumber(name string, i int, v float32, dtype string) error {
	return fmt.Errorf("%w: element %d of %s is %g, which %s cannot hold as a finite number", ErrNonFinite, i, name, v, dtype)
}

func toBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // a NaN stays one
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// fromHalf is the value of an IEEE 754 half-precision number.
func fromHalf(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac·2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

func toHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign, mag := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case mag > 0x7f800000:
		return sign | 0x7e00
	case mag >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case mag < 0x38800000: // below the least normal half: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(mag))*0x1p24))
	}
	mag -= 112 << 23
	return sign | uint16((mag+0xfff+mag>>13&1)>>13)
}
