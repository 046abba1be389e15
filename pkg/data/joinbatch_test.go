package data

import (
	"reflect"
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
	padded := Batch{ // in the first sequence, and all of the second
		N: 3, IDs: make([]int32, 12), Targets: slices.Repeat([]int32{-1}, 12),
		Starts: []int32{0, 0, 4, 4, 4, 4, 4, 4, 0, 0, 0, 4}, Positions: []int32{0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0},
	}
	got = padded.Join(3)
	if !slices.Equal(got.Starts, []int32{0, 0, 2, 2, 4, 4, 4, 4, 8, 8, 8, 12}) || !slices.Equal(got.Positions, []int32{0, 1, 0, 1, 0, 1, 2, 3, 0, 1, 2, 0}) {
		t.Errorf("padding between documents: %+v", got)
	}
	if got = packed.Join(1); got.N != 2 || !slices.Equal(got.Starts, packed.Starts) {
		t.Errorf("one by one: %+v", got)
	}
}

// TestHead: the first tokens of every sequence, with padding at the new end, copied.
func TestHead(t *testing.T) {
	b := Batch{
		N: 2, IDs: []int32{1, 2, 3, 4, 5, 6, 7, 8}, Targets: []int32{2, 3, -1, -1, 6, -1, -1, -1},
		Starts: []int32{0, 0, 4, 4, 0, 4, 4, 4}, Positions: []int32{0, 1, 0, 0, 0, 0, 0, 0},
	}
	h, ok := b.Head(4, 2)
	want := Batch{
		N: 2, IDs: []int32{1, 2, 5, 6}, Targets: []int32{2, 3, 6, -1}, Starts: []int32{0, 0, 0, 2}, Positions: []int32{0, 1, 0, 0},
	}
	if !ok || !reflect.DeepEqual(h, want) || b.Starts[5] != 4 {
		t.Errorf("%+v, %t, expected %+v", h, ok, want)
	}
	b.Targets[4] = -1
	for name, c := range map[string]Batch{
		"nothing predicted": b, "images": {N: 1, Pixels: make([]float32, 4), Targets: make([]int32, 4)}, "vectors": {N: 1, Vectors: make([]float32, 3), Targets: make([]int32, 4)},
	} {
		if _, ok := c.Head(4, 2); ok {
			t.Errorf("%s: shortened", name)
		}
	}
}
