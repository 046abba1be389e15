package main

import (
	"math"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/param"
)

func init() {
	coupled.RegisterEvidence(coupled.EvidenceKind{Name: "gate-sizes", New: gateSizes})
}

// gateSizes sums the size of every unit's gate gradient over the sequences.
func gateSizes(set *param.Set) *coupled.Statistic {
	sizes := coupled.NewUnits(set)
	return &coupled.Statistic{
		Value: sizes, Visit: sizes.Visit, Shrink: sizes.Shrink,
		Gates: func(dim string, r []float64) {
			sizes.Seen(dim)
			for i, x := range r {
				sizes.Of(dim)[i] += math.Abs(x)
			}
		},
	}
}
