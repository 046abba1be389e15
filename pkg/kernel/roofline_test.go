package kernel

import "testing"

// Whatever the machine, two threads of a plausible processor do between 0.1 and
// 100 TFLOP/s and read between 0.1 and 10000 GB/s; a wrong unit or a loop that
// was optimised away falls outside.
func TestRoofline(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	f32 := PeakFLOPS(p, 0.02)
	if f32 < 1e8 || f32 > 1e14 {
		t.Errorf("PeakFLOPS %g", f32)
	}
	if b := PeakBF16(p, 0.02); HasBF16() && (b < f32 || b > 1e14) || !HasBF16() && b != 0 {
		t.Errorf("PeakBF16 %g, float32 %g", b, f32)
	}
	if r := ReadBandwidth(p); r < 1e8 || r > 1e13 {
		t.Errorf("ReadBandwidth %g", r)
	}
	t.Logf("%.0f GFLOP/s, %.1f GB/s", f32/1e9, ReadBandwidth(p)/1e9)
}
