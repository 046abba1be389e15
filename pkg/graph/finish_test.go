package graph

import (
	"slices"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// TestFinishedIsFinal: what a run says is finished does not change any more, every
// gradient is told of exactly once, and the first are told of before the run ends.
func TestFinishedIsFinal(t *testing.T) {
	for _, r := range []Recompute{KeepAll, RecomputeLayer} {
		m := newToy(t, "lg")
		var grads *param.Slab
		var told []span
		var values [][]float32
		mc, slab := m.run(t, 1, LowerOptions{Recompute: r, Finished: func(lo, hi int) {
			told = append(told, span{lo, hi})
			if grads != nil {
				values = append(values, slices.Clone(grads.Data[lo:hi]))
			}
		}})
		grads, told = slab, nil
		clear(slab.Data)
		ok(t, mc.RunAll())
		count := make([]int, len(slab.Data))
		for i, s := range told {
			for j := s.lo; j < s.hi; j++ {
				count[j]++
				if values[i][j-s.lo] != slab.Data[j] {
					t.Fatalf("gradient %d was %g when it was said to be finished and is %g at the end", j, values[i][j-s.lo], slab.Data[j])
				}
			}
		}
		for _, p := range m.set.Params {
			for j := p.Offset; j < p.Offset+p.Size(); j++ {
				if count[j] != 1 {
					t.Fatalf("gradient %d of %s was told of %d times", j-p.Offset, p.Name, count[j])
				}
			}
		}
		if len(told) < 5 {
			t.Errorf("gradients were told of in %d stretches only", len(told))
		}
	}
}

func TestSpans(t *testing.T) {
	u := union(union(union(nil, span{4, 6}), span{8, 9}), span{6, 7})
	if !slices.Equal(u, []span{{4, 7}, {8, 9}}) {
		t.Errorf("union is %v", u)
	}
	if got := minus(span{0, 10}, u); !slices.Equal(got, []span{{0, 4}, {7, 8}, {9, 10}}) {
		t.Errorf("difference is %v", got)
	}
}
