package prune

import (
	"slices"

	"github.com/ecospa/ecospa/internal/sysmem"
	"github.com/ecospa/ecospa/internal/units"
)

// Speed compares how fast the same batches were evaluated before and after.
type Speed struct {
	Ratio float64 `json:"ratio"` // median over the batches of after over before
	Low   float64 `json:"low"`   // quartiles of it
	High  float64 `json:"high"`
	Pairs int     `json:"pairs"` // batches
	// InTurns says that the models were timed in turns at the end, not one before the pruning and
	// one after it.
	InTurns bool `json:"in_turns"`
	// Load is the load average of the last minute where it was above the number of
	// processors: other programs ran, and speeds say little; else 0.
	Load float64 `json:"load,omitempty"`
}

// compared is the speed of two evaluations; nil where they were not of the same batches. The
// first batch of several does not count: it is the one that warms up.
func compared(before, after Side) *Speed {
	n := len(before.Rates)
	if n == 0 || n != len(after.Rates) {
		return nil
	}
	var ratios []float64
	for i := range n {
		if i > 0 || n == 1 {
			ratios = append(ratios, after.Rates[i]/before.Rates[i])
		}
	}
	slices.Sort(ratios)
	s := &Speed{Ratio: units.Median(ratios), Low: ratios[len(ratios)/4], High: ratios[len(ratios)*3/4], Pairs: len(ratios)}
	if load, _, busy := sysmem.Busy(); busy {
		s.Load = load
	}
	return s
}
