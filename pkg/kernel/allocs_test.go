package kernel

import (
	"runtime/debug"
	"testing"
)

// allocations is testing.AllocsPerRun with the collector off: a collection
// empties the loops' sync.Pools, and the next run would be charged for it.
//
// Only the fastest path is measured: the code that could allocate is that of all paths,
// and the portable one takes most of the tests' time as it is.
func allocations(runs int, f func()) float64 {
	if current != paths[len(paths)-1] {
		return 0
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	return testing.AllocsPerRun(runs, f)
}
