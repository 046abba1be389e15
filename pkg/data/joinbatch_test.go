package data

import (
	"slices"
	"testing"
)

// TestJoinSequences: sequences of a stream and of documents, with padding, by hand.
func TestJoinSequences(t *testing.T) {
	stream := Batch{N: 4, IDs: []int32{1, 2, 3, 4, 5, 6, 7, 8}, Targets: []int32{2, 3, 4, 5, 6, 7, 8, 9}}
	got := stream.Join(2)
	if got.N != 2 || !got.Packed() || !slices.Equal(got.IDs, stream.IDs) || !slices.Equal(got.Targets, stream.Targets) ||
		!slices.Equal(got.Starts, []int32{0, 0, 2, 2, 0, 0, 2, 2}) || !slices.Equal(got.Positions, []int32{0, 1, 0, 1, 0, 1, 0, 1}) {
		t.Errorf("a stream: %+v", got)
	}
	packed := Batch{
		N: 2, IDs: []int32{1, 2, 3, 4, 5, 0}, Targets: []int32{2, -1, 4, 5, -1, -1},
		Starts: []int32{0, 0, 2, 0, 0, 3}, Positions: []int32{0, 1, 0, 0, 1, 0},
	}
	got = packed.Join(2)
	if got.N != 1 || !slices.Equal(got.Starts, []int32{0, 0, 2, 3, 3, 6}) || !slices.Equal(got.Positions, packed.Positions) {
		t.Errorf("documents: %+v", got)
	}
	if got = packed.Join(1); got.N != 2 || !slices.Equal(got.Starts, packed.Starts) {
		t.Errorf("one by one: %+v", got)
	}
}
