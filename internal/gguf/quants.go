package gguf

import "github.com/ecospa/ecospa/pkg/checkpoint"

// Quantized types other than Q8_0 are read, not written. Blocks of 32 elements have one
// scale; the K types have blocks of 256 in groups of 16 or 32, whose scales are small
// integers times one of the block's
// (https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h has the layouts).

// super is the number of elements of a block of a K type.
const super = 256

// quants are the types that are only read: how one block is decoded.
var quants = map[string]func(y []float32, b []byte){
	"Q4_0": q40, "Q4_1": q41, "Q5_0": q50, "Q5_1": q51, "Q2_K": q2k, "Q3_K": q3k, "Q4_K": q4k, "Q5_K": q5k, "Q6_K": q6k,
}

func f16(b []byte) float32 {
	var x [1]float32
	checkpoint.Decode(x[:], b[:2], "F16")
	return x[0]
}

func q40(y []float32, b []byte) {
	d, q := f16(b), b[2:]
	for j := range 16 {
		y[j] = d * float32(int(q[j]&15)-8)
		y[j+16] = d * float32(int(q[j]>>4)-8)
	}
}

func q41(y []float32, b []byte) {
	d, m, q := f16(b), f16(b[2:]), b[4:]
	for j := range 16 {
		y[j] = d*float32(q[j]&15) + m
		y[j+16] = d*float32(q[j]>>4) + m
	}
}

// fifth is the high bits of the elements j and j+16 of a block of 32.
func fifth(high uint32, j int) (lo, hi int) {
	return int(high>>j&1) << 4, int(high>>(j+16)&1) << 4
}

func q50(y []float32, b []byte) {
	d, high, q := f16(b), le.Uint32(b[2:]), b[6:]
	for j := range 16 {
		lo, hi := fifth(high, j)
		y[j] = d * float32((int(q[j]&15)|lo)-16)
		y[j+16] = d * float32((int(q[j]>>4)|hi)-16)
	}
}

func q51(y []float32, b []byte) {
	d, m, high, q := f16(b), f16(b[2:]), le.Uint32(b[4:]), b[8:]
	for j := range 16 {
		lo, hi := fifth(high, j)
		y[j] = d*float32(int(q[j]&15)|lo) + m
		y[j+16] = d*float32(int(q[j]>>4)|hi) + m
	}
}

// q2k: 16 bytes of scales (low half) and minima, 64 of two bits each, d, dmin.
func q2k(y []float32, b []byte) {
	scales, q, d, dmin := b[:16], b[16:80], f16(b[80:]), f16(b[82:])
	for g := range 16 { // groups of 16 elements
		half, part := g/8, g%8
		from, shift := q[32*half+16*(part%2):], 2*(part/2)
		scale, low := d*float32(scales[g]&15), dmin*float32(scales[g]>>4)
		for i := range 16 {
			y[16*g+i] = scale*float32(from[i]>>shift&3) - low
		}
	}
}

// q3k: 32 bytes of high bits, 64 of two low bits each, 12 of scales of 6 bits, d.
func q3k(y []float32, b []byte) {
	high, q, packed, d := b[:32], b[32:96], b[96:108], f16(b[108:])
	for g := range 16 {
		low := packed[g%8] >> (4 * (g / 8)) & 15
		scale := int(low|packed[8+g%4]>>(2*(g/4))&3<<4) - 32
		half, part := g/8, g%8
		from, bits, shift := q[32*half+16*(part%2):], high[16*(part%2):], 2*(part/2)
		for i := range 16 {
			v := int(from[i] >> shift & 3)
			if bits[i]>>(4*half+part/2)&1 == 0 {
				v -= 4
			}
			y[16*g+i] = d * float32(scale) * float32(v)
		}
	}
}

// scaleMin unpacks the scale and minimum of group g of 8, 6 bits each, from 12 bytes.
func scaleMin(packed []byte, g int) (scale, low byte) {
	if g < 4 {
		return packed[g] & 63, packed[g+4] & 63
	}
	return packed[g+4]&15 | packed[g-4]>>6<<4, packed[g+4]>>4 | packed[g]>>6<<4
}

// q4k: d, dmin, 12 bytes of scales and minima, 128 of four bits each.
func q4k(y []float32, b []byte) {
	d, dmin, packed, q := f16(b), f16(b[2:]), b[4:16], b[16:144]
	for g := range 8 {
		s, m := scaleMin(packed, g)
		scale, low, shift := d*float32(s), dmin*float32(m), 4*(g%2)
		for i, v := range q[32*(g/2):][:32] {
			y[32*g+i] = scale*float32(v>>shift&15) - low
		}
	}
}

// q5k: as q4k, with 32 bytes of fifth bits before the four.
func q5k(y []float32, b []byte) {
	d, dmin, packed, high, q := f16(b), f16(b[2:]), b[4:16], b[16:48], b[48:176]
	for g := range 8 {
		s, m := scaleMin(packed, g)
		scale, low, shift := d*float32(s), dmin*float32(m), 4*(g%2)
		for i, v := range q[32*(g/2):][:32] {
			y[32*g+i] = scale*float32(v>>shift&15|high[i]>>g&1<<4) - low
		}
	}
}

// q6k: 128 bytes of four low bits each, 64 of two high bits, 16 signed scales, d.
func q6k(y []float32, b []byte) {
	low, high, scales, d := b[:128], b[128:192], b[192:208], f16(b[208:])
	for i := range super {
		half, part, l := i/128, i%128/32, i%32
		four := low[64*half+32*(part%2)+l] >> (4 * (part / 2)) & 15
		two := high[32*half+l] >> (2 * part) & 3
		y[i] = d * float32(int8(scales[8*half+2*part+l/16])) * float32(int(four|two<<4)-32)
	}
}
