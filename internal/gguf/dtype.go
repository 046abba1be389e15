package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/checkpoint"
)

// block is the number of elements of a block of Q8_0.
const block = 32

// dtype is one type of tensor data.
type dtype struct {
	id       uint32 // in the file
	elements int    // of a block
	bytes    int    // of a block
}

// dtypes are the types that are read; those of quants are not written.
var dtypes = map[string]dtype{
	"F32": {0, 1, 4}, "F16": {1, 1, 2}, "Q8_0": {8, block, 34}, "BF16": {30, 1, 2},
	"Q4_0": {2, block, 18}, "Q4_1": {3, block, 20}, "Q5_0": {6, block, 22}, "Q5_1": {7, block, 24},
	"Q2_K": {10, super, 84}, "Q3_K": {11, super, 110}, "Q4_K": {12, super, 144}, "Q5_K": {13, super, 176}, "Q6_K": {14, super, 210},
}

// dtypeName is the type with an id of the file.
func dtypeName(id uint32) (string, error) {
	for name, d := range dtypes {
		if d.id == id {
			return name, nil
		}
	}
	return "", fmt.Errorf("type %d is not read here; F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 and Q2_K to Q6_K are", id)
}

// size is the bytes of n elements in whole blocks.
func (d dtype) size(n int64) int64 { return n / int64(d.elements) * int64(d.bytes) }

// encode turns values into the bytes of the type; it returns the index of the
// first element that the type cannot hold as a finite number, or -1.
func encode(dst []byte, src []float32, name string) int {
	if name != "Q8_0" {
		return checkpoint.Encode(dst, src, name)
	}
	for b := 0; b < len(src); b += block {
		x, out := src[b:b+block], dst[b/block*34:]
		most := float32(0)
		for i, v := range x {
			if v-v != 0 {
				return b + i
			}
			most = max(most, v, -v)
		}
		d := most / 127
		if bad := checkpoint.Encode(out[:2], []float32{d}, "F16"); bad >= 0 {
			return b
		}
		inverse := float32(0)
		if d != 0 {
			inverse = 1 / d
		}
		for i, v := range x {
			out[2+i] = byte(int8(math.Round(float64(v * inverse))))
		}
	}
	return -1
}

// decode is the inverse of encode.
func decode(dst []float32, src []byte, name string) {
	if f, ok := quants[name]; ok {
		d := dtypes[name]
		for i := 0; i < len(dst); i += d.elements {
			f(dst[i:i+d.elements], src[i/d.elements*d.bytes:][:d.bytes])
		}
		return
	}
	if name != "Q8_0" {
		checkpoint.Decode(dst, src, name)
		return
	}
	var d [1]float32
	for b := 0; b < len(dst); b += block {
		in := src[b/block*34:]
		checkpoint.Decode(d[:], in[:2], "F16")
		for i := range block {
			dst[b+i] = d[0] * float32(int8(in[2+i]))
		}
	}
}

var le = binary.LittleEndian
