package gguf

import (
	"encoding/hex"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestQuants: blocks that ggml quantized, and what ggml makes of them again, bit for
// bit. A line of testdata/quants.txt is a type, the bytes of 512 elements, and these as
// float32; ggml's reference functions wrote it (quantize_row_*_ref, dequantize_row_*).
func TestQuants(t *testing.T) {
	text, err := os.ReadFile("testdata/quants.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		raw, err := hex.DecodeString(f[1])
		d, ok := dtypes[f[0]]
		if err != nil || !ok || int64(len(raw)) != d.size(512) {
			t.Fatalf("%s: %d bytes, %v", f[0], len(raw), err)
		}
		got := make([]float32, 512)
		decode(got, raw, f[0])
		for i := range got {
			want, err := strconv.ParseUint(f[2][8*i:8*i+8], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			if g := math.Float32bits(got[i]); g != uint32(want) {
				t.Errorf("%s element %d is %g, expected %g", f[0], i, got[i], math.Float32frombits(uint32(want)))
				break
			}
		}
		seen++
	}
	if seen != len(quants)+1 {
		t.Errorf("%d types are in the file, expected all %d", seen, len(quants)+1)
	}
}
