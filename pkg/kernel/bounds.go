package kernel

import (
	"fmt"
	"math"
	"sort"
)

// bounds says which keys the tokens of one sequence see: those from first to
// before end. Both grow with the token, so that of a run of tokens the first one
// bounds the keys from below and the last one from above.
type bounds struct {
	s      *AttnShape
	starts []int32 // nil, or the first key of each token
	total  int     // keys of the sequence
}

// bounds of sequence b.
func (s *AttnShape) bounds(starts []int32, b int) bounds {
	if starts != nil {
		starts = starts[b*s.T:][:s.T]
	}
	return bounds{s, starts, s.T}
}

// first is the first key that the token at position t sees.
func (b *bounds) first(t int) int {
	first := 0
	if b.starts != nil {
		first = int(b.starts[t])
	}
	switch {
	case b.s.Window == 0:
		return first
	case b.s.Causal:
		return max(first, t-b.s.Window+1)
	}
	return max(first, t-b.s.Window/2)
}

// end is the key after the last one that the token at position t sees. A token
// sees none where that is not more than its first.
func (b *bounds) end(t int) int {
	if b.s.Causal {
		return t + 1
	}
	end := b.document(t)
	if b.s.Window > 0 {
		end = min(end, t+b.s.Window/2+1)
	}
	return end
}

// document is the end of the document of the token at position t: the first token
// whose keys begin after t.
func (b *bounds) document(t int) int {
	if b.starts == nil {
		return b.total
	}
	return sort.Search(b.total, func(u int) bool { return int(b.starts[u]) > t })
}

// within is the part of n keys from k0 that tokens t to last see, as offsets from k0.
func (b *bounds) within(t, last, k0, n int) (from, to int) {
	from, to = max(0, b.first(t)-k0), min(n, b.end(last)-k0)
	return from, max(from, to)
}

// seeAll reports whether each of the tokens t to last sees all of n keys from k0.
func (b *bounds) seeAll(t, last, k0, n int) bool {
	return b.first(last) <= k0 && b.end(t) >= k0+n && b.first(last) < b.end(last)
}

// readers is the tokens that see one of the keys k to last, from to before to.
func (b *bounds) readers(k, last int) (from, to int) {
	if !b.s.Causal { // who sees whom is mutual
		return b.first(k), b.end(last)
	}
	to = b.document(last)
	if b.s.Window > 0 {
		to = min(to, last+b.s.Window)
	}
	return k, to
}

const badStarts = "kernel: starts must not decrease within a sequence, nor lie outside it"

// CheckStarts fails unless starts are as AttentionForward takes them.
func (s *AttnShape) CheckStarts(starts []int32) error {
	if len(starts) < s.B*s.T {
		return fmt.Errorf("%d starts, expected %d", len(starts), s.B*s.T)
	}
	for b := range s.B {
		last := int32(0)
		for t, v := range starts[b*s.T:][:s.T] {
			if v < last || int(v) > s.T {
				return fmt.Errorf("token %d of sequence %d starts at %d, expected %d to %d", t, b, v, last, s.T)
			}
			last = v
		}
	}
	return nil
}

func (s *AttnShape) checkStarts(starts []int32) {
	if starts != nil && s.CheckStarts(starts) != nil {
		panic(badStarts)
	}
}

// capped is the soft cap as it applies to scores of base 2, see AttnShape.
func (s *AttnShape) capped() float32 { return s.SoftCap * math.Log2E }

// hide replaces the scores of unseen keys in n rows of width keys from k0, the
// first row of which is row lo of a tile that begins at position t0.
func (b *bounds) hide(sc []float32, t0, lo, n, k0, width int) {
	if b.seeAll(t0+lo/b.s.R, t0+(lo+n-1)/b.s.R, k0, width) {
		return
	}
	for i := range n {
		t, row := t0+(lo+i)/b.s.R, sc[i*attnStride:][:width]
		from, to := b.within(t, t, k0, width)
		for j := range row[:min(from, width)] {
			row[j] = masked
		}
		for j := min(to, width); j < width; j++ {
			row[j] = masked
		}
	}
}
