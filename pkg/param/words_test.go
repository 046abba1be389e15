package param

import (
	"slices"
	"testing"
)

// TestWords: the words of a set are all of its weights as they are stored; put back, the
// weights are what they were.
func TestWords(t *testing.T) {
	for _, dtype := range []DType{F32, BF16} {
		s := storedSet(t)
		if err := s.StoreAll(dtype); err != nil {
			t.Fatal(err)
		}
		var kept [][]float32
		bytes := int64(0)
		for _, run := range s.Words() {
			kept = append(kept, slices.Clone(run))
			bytes += 4 * int64(len(run))
		}
		if want := s.WeightBytes(); bytes < want || bytes > want+64*int64(len(s.Blocks)) {
			t.Errorf("%s: words of %d bytes, expected %d and little more", dtype, bytes, want)
		}
		var before [][]float32
		for _, p := range s.Params {
			before = append(before, slices.Clone(p.Floats(make([]float32, p.Size()), 0, p.Size())))
		}
		for _, run := range s.Words() {
			clear(run)
		}
		for i, run := range s.Words() {
			copy(run, kept[i])
		}
		for i, p := range s.Params {
			if !slices.Equal(before[i], p.Floats(make([]float32, p.Size()), 0, p.Size())) {
				t.Errorf("%s: %s has changed", dtype, p.Name)
			}
		}
		if dtype == F32 {
			continue
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("words of a widened block were given")
				}
			}()
			for _, b := range s.Blocks {
				s.Widen(b)
			}
			s.Words()
		}()
	}
}
