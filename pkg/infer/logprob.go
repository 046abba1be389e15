package infer

import (
	"slices"

	"github.com/ecospa/ecospa/pkg/kernel"
)

// scoreOf is what logits say of the token id, with n alternatives. Of equal
// logits the lower id comes first, as in greedy choice, so that the token which is
// chosen greedily is the first of its alternatives, with the same number.
func scoreOf(logits []float32, id int32, n int) score {
	z := kernel.LogSumExp(logits, 1)
	s := score{known: true, logprob: float32(float64(logits[id]) - z)}
	if n == 0 {
		return s
	}
	best := make([]int32, 0, n+1)
	for i, l := range logits {
		if len(best) == n && l <= logits[best[n-1]] {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, l, func(b int32, l float32) int {
			if logits[b] >= l {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, int32(i))
		best = best[:min(n, len(best))]
	}
	if !slices.Contains(best, id) {
		best = append(best, id)
	}
	for _, b := range best {
		s.top = append(s.top, Candidate{b, float32(float64(logits[b]) - z)})
	}
	return s
}

// enough reports whether the score serves a request for top alternatives.
func (s score) enough(top int) bool { return s.known && len(s.top) >= top }

// cut is the score with n alternatives of those that it has, and the token's own.
func (s score) cut(id int32, n int) []Candidate {
	if n == 0 || len(s.top) <= n {
		return s.top[:min(n, len(s.top))]
	}
	out := slices.Clone(s.top[:n])
	if !slices.ContainsFunc(out, func(c Candidate) bool { return c.ID == id }) {
		out = append(out, Candidate{id, s.logprob})
	}
	return out
}
