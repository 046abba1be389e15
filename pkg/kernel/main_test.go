package kernel

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain collects garbage less often: the references make many small slices, and a fifth
// of the tests' time was the collector's.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}
