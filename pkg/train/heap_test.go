//go:build !race

package train

import (
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
)

// TestSteadyStateAllocatesNothing: after the first steps a step takes less than 64
// KiB of Go heap (its record, the resident set's text), and running the machine
// alone takes none. The race detector drops what a sync.Pool keeps at random, hence
// the build constraint.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the kernels' pools of arguments
	for _, precision := range []string{"f32", "bf16"} {
		for _, evidence := range []bool{false, true} {
			c := config(40)
			c.Precision = precision
			l := tinyLoop(t, "llama", c)
			if evidence {
				l.Watch(coupled.Options{})
			}
			var before, now runtime.MemStats
			var took []uint64
			l.Attach(Hook{Name: "count", Step: func(l *Loop) error {
				runtime.ReadMemStats(&now)
				if l.Step > 5 {
					took = append(took, now.TotalAlloc-before.TotalAlloc)
				}
				runtime.ReadMemStats(&before)
				return nil
			}})
			if err := l.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			// The median: a worker that takes a kind of work for the first time makes itself
			// a buffer, in whichever step that is.
			slices.Sort(took)
			if n := took[len(took)/2]; n >= 64<<10 {
				t.Errorf("%s, evidence %t: a step allocates %d bytes, expected less than 64 KiB", precision, evidence, n)
			} else {
				t.Logf("%s, evidence %t: %d bytes a step", precision, evidence, n)
			}
			if n := testing.AllocsPerRun(10, func() {
				if err := l.run(true); err != nil {
					t.Fatal(err)
				}
			}); n > 0 {
				t.Errorf("%s, evidence %t: a run of the machine allocates %g times, expected never", precision, evidence, n)
			}
		}
	}
}
