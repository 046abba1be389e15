package disttest

import "testing"

// TestRounding: halfway between two bfloat16 numbers the even one is taken.
func TestRounding(t *testing.T) {
	for x, want := range map[float32]float32{1: 1, 1.00390625: 1, 1.01171875: 1.015625, -1.00390625: -1} {
		if got := toBF16(x); got != want {
			t.Errorf("%g rounds to %g, expected %g", x, got, want)
		}
	}
}
