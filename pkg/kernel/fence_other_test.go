//go:build !linux

package kernel

import "testing"

// fence returns n values in the middle of NaNs; the check sees a write to them.
func fence(t testing.TB, n int) (s []float32, intact func() bool) {
	const margin = 1024
	all := make([]float32, n+2*margin)
	back := all[n+margin:]
	for i := range back {
		back[i] = nan32
	}
	s, front := fenced(all[:n+margin], n)
	return s, func() bool {
		for _, v := range back {
			if v == v {
				return false
			}
		}
		return front()
	}
}
