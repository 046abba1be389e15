package train

import (
	"runtime/debug"
	"testing"

	"github.com/ecospa/ecospa/internal/sysmem"
)

// TestForgetPeak holds that the peak is that of what came after.
func TestForgetPeak(t *testing.T) {
	const size = 64 << 20
	x := make([]byte, size)
	for i := 0; i < len(x); i += 4096 {
		x[i] = 1
	}
	_, high := sysmem.Resident()
	if x[0] != 1 {
		t.Fatal("not written")
	}
	x = nil
	debug.FreeOSMemory()
	if !sysmem.ForgetPeak() {
		t.Fatal("the peak cannot be forgotten")
	}
	if now, peak := sysmem.Resident(); peak > high-size/2 || peak < now-1<<20 {
		t.Errorf("peak of %d bytes with %d resident, was %d with %d more", peak, now, high, size)
	}
}
