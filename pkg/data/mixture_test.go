package data

import (
	"reflect"
	"strings"
	"testing"
)

// mixed is a mixture of shards and tokens in memory; ids of the second are 500 and more.
func mixed(t *testing.T, weights ...float64) *Mixture {
	t.Helper()
	q := prepared(t, ended{}, records(t, 90), PrepareOptions{})
	var other [][]int32
	for i := range 40 {
		d := []int32{500}
		for k := range i % 13 {
			d = append(d, int32(501+k))
		}
		other = append(other, append(d, 600))
	}
	m, err := NewMixture([]Encoded{q.Shards, Join(other, 1)}, weights)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMixtureHasItsShares: after any number of sequences the parts have had what their
// weights say, but for less than one sequence.
func TestMixtureHasItsShares(t *testing.T) {
	b, err := NewBatches(mixed(t, 3, 1), 1, 16, Cursor{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	second := 0
	for n := 1; n <= 200; n++ {
		x, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		if x.IDs[0] >= 500 {
			second++
		}
		if d := float64(second) - float64(n)/4; d <= -1 || d >= 1 {
			t.Fatalf("of %d sequences %d are of the part of a quarter", n, second)
		}
	}
}

// TestMixtureResumes: from any cursor the batches are those that came after it; ranks that
// fill their own sequences have together the batch.
func TestMixtureResumes(t *testing.T) {
	small(t)
	m := mixed(t, 0.3, 0.7)
	b, err := NewBatches(m, 4, 16, Cursor{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	want, at := take(t, b, 60)
	for _, i := range []int{0, 13, 39} {
		c, err := NewBatches(m, 4, 16, at[i])
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := take(t, c, 20); !reflect.DeepEqual(got, want[i+1:i+21]) {
			t.Errorf("from %+v other batches", at[i])
		}
	}
	if _, err := NewBatches(m.Parts[0], 4, 16, at[3]); err == nil {
		t.Error("the cursor of a mixture is one of a part")
	}
	one, _ := NewBatches(m, 4, 16, Cursor{Seed: 5})
	half, _ := NewBatches(m, 4, 16, Cursor{Seed: 5})
	half.Deal(2, 4)
	for range 10 {
		x, err := one.Next()
		if err != nil {
			t.Fatal(err)
		}
		y, err := half.Next()
		if err != nil || x.Predicted() != y.Predicted() || !reflect.DeepEqual(x.Slice(2, 4).Targets, y.Slice(2, 4).Targets) {
			t.Fatalf("%d predicted, expected %d (%v)", y.Predicted(), x.Predicted(), err)
		}
	}
}

// TestMixtureIsItsParts: counts, pieces and tokens are those of the parts.
func TestMixtureIsItsParts(t *testing.T) {
	m := mixed(t, 1, 1)
	a, b := packing(t, m.Parts[0], 32), packing(t, m.Parts[1], 32)
	if got := packing(t, m, 32); got.Learned != a.Learned+b.Learned || got.Sequences != a.Sequences+b.Sequences || m.Documents() != m.Parts[0].Documents()+m.Parts[1].Documents() {
		t.Errorf("%+v, expected %+v and %+v", got, a, b)
	}
	n := 0
	for w, err := range Windows(m, 4, 32, 0) {
		if err != nil {
			t.Fatal(err)
		}
		n += w.Predicted()
	}
	if n != a.Learned+b.Learned {
		t.Errorf("an evaluation of %d tokens, expected %d", n, a.Learned+b.Learned)
	}
	if _, err := NewMixture([]Encoded{m.Parts[0], Tokens{1, 2, 3}}, []float64{1, 1}); err == nil || !strings.Contains(err.Error(), "set data.pack") {
		t.Errorf("a stream and documents: %v", err)
	}
	other := mixed(t, 1, 2)
	if m.Checksum() == other.Checksum() {
		t.Error("other weights are not another text")
	}
	if err := m.Below(301); err == nil || !strings.Contains(err.Error(), "part 2") {
		t.Errorf("ids of the second part: %v", err)
	}
}
