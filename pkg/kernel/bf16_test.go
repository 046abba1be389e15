package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// bf16Slow is the bfloat16 next to v by the definition: of the two that lie on
// either side the nearer one, or the even one.
func bf16Slow(v float32) uint16 {
	b := math.Float32bits(v)
	low, rest := uint16(b>>16), b&0xffff
	switch {
	case v != v:
		return low | 0x40
	case rest > 0x8000 || rest == 0x8000 && low&1 == 1:
		return low + 1 // from the largest to infinity as well
	}
	return low
}

// Conversions give the same bits on every path, of every length, within their
// buffers.
func TestBF16(t *testing.T) {
	special := []uint32{0, 0x80000000, 1, 0x7fff, 0x8000, 0x8001, 0x18000, 0x3f808000, 0x3f818000, 0x7f7fffff, 0xff7f8000, 0x7f800000, 0xff800000, 0x7f800001, 0x7fffffff, 0xffc00000}
	eachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(16, 16))
		for n := range 150 {
			src, srcIntact := fence(t, n)
			back, backIntact := fence(t, n)
			words, wordsIntact := fence(t, (n+1)/2)
			bits := asBF16(words)[2*len(words)-n:]
			for i := range src {
				b := r.Uint32()
				if r.IntN(3) == 0 {
					b = special[r.IntN(len(special))]
				}
				src[i] = math.Float32frombits(b)
			}
			ToBF16(bits, src)
			FromBF16(back, bits)
			for i, v := range src {
				if want := bf16Slow(v); bits[i] != want {
					t.Fatalf("%d of %d: %08x becomes %04x, want %04x", i, n, math.Float32bits(v), bits[i], want)
				}
				if got := math.Float32bits(back[i]); got != uint32(bits[i])<<16 {
					t.Fatalf("%d of %d: %04x comes back as %08x", i, n, bits[i], got)
				}
			}
			current.vecOps.round(src)
			for i, v := range src {
				if math.Float32bits(v) != math.Float32bits(back[i]) {
					t.Fatalf("%d of %d: rounded to %08x, want %08x", i, n, math.Float32bits(v), math.Float32bits(back[i]))
				}
			}
			if !srcIntact() || !backIntact() || !wordsIntact() {
				t.Fatalf("%d values: wrote before them", n)
			}
		}
	})
}
