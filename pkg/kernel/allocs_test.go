package kernel

import (
	"runtime/debug"
	"testing"
)

// allocations is testing.AllocsPerRun with the collector off: a collection
// empties the loops' sync.Pools, and the next run would be charged for it.
func allocations(runs int, f func()) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	return testing.AllocsPerRun(runs, f)
}
