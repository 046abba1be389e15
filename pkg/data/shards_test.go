package data

import (
	"fmt"
	"path/filepath"
	"reflect"
	"sort"
	"testing"
)

func TestPermutationIsOne(t *testing.T) {
	for _, n := range []int{1, 2, 3, 64, 65, 1000, 4097} {
		seen, moved := make([]bool, n), 0
		p := newPermutation(n, 7, 0)
		for i := range n {
			x := p.at(i)
			if x < 0 || x >= n || seen[x] {
				t.Fatalf("of %d: place %d holds %d, out of range or twice", n, i, x)
			}
			if seen[x] = true; x != i {
				moved++
			}
		}
		if n > 60 && moved < n*9/10 {
			t.Errorf("of %d only %d moved", n, moved)
		}
		if q := newPermutation(n, 7, 1); n > 60 && p.at(0) == q.at(0) && p.at(1) == q.at(1) && p.at(2) == q.at(2) {
			t.Error("two passes have one order")
		}
	}
}

// take is n batches as text, with the cursor after each.
func take(t *testing.T, b *Batches, n int) (out []string, at []Cursor) {
	t.Helper()
	for range n {
		x, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		out, at = append(out, fmt.Sprint(x.IDs, x.Targets, x.Starts, x.Positions)), append(at, b.Cursor())
	}
	return out, at
}

// small makes groups of documents and orders in memory small.
func small(t *testing.T) {
	tokens, chunks, most := chunkTokens, groupChunks, mostOrdered
	chunkTokens, groupChunks, mostOrdered = 80, 3, 8
	t.Cleanup(func() { chunkTokens, groupChunks, mostOrdered = tokens, chunks, most })
}

// TestShardsResume: batches from any cursor are those that came after it, over passes.
func TestShardsResume(t *testing.T) {
	small(t)
	path := records(t, 90)
	for _, pack := range []string{PackDocuments, PackStream} {
		q := prepared(t, ended{}, path, PrepareOptions{Options: Options{Pack: pack}})
		if pack == PackDocuments && q.Shards.groups() < 3 {
			t.Fatalf("%d groups: the test shows nothing", q.Shards.groups())
		}
		b, err := NewBatches(q.Shards, 3, 16, Cursor{Seed: 5})
		if err != nil {
			t.Fatal(err)
		}
		want, at := take(t, b, 120)
		if last := at[len(at)-1]; last.Epoch < 2 || !last.Large {
			t.Fatalf("%s: after all batches %+v", pack, last)
		}
		for _, i := range []int{0, 7, 31, 59, 90} {
			c, err := NewBatches(q.Shards, 3, 16, at[i])
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := take(t, c, 20); !reflect.DeepEqual(got, want[i+1:i+21]) {
				t.Errorf("%s: from %+v other batches", pack, at[i])
			}
		}
	}
}

// TestShardsAreReadOncePerPass: every token that is predicted is so once in a pass, in an
// order that differs between passes.
func TestShardsAreReadOncePerPass(t *testing.T) {
	small(t)
	q := prepared(t, ended{}, records(t, 90), PrepareOptions{})
	want := map[int32]int{}
	whole, err := all(q.Shards, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range whole[1:] {
		if id >= 0 {
			want[target(id)]++
		}
	}
	b, err := NewBatches(q.Shards, 1, 24, Cursor{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	var order [2][]string
	for pass := range 2 {
		got := map[int32]int{}
		for b.Cursor().Epoch == pass {
			x, err := b.Next()
			if err != nil {
				t.Fatal(err)
			}
			if b.Cursor().Epoch > pass { // the first of the next
				if err := b.Seek(Cursor{Seed: 9, Epoch: pass + 1, Pack: PackDocuments, Large: true}); err != nil {
					t.Fatal(err)
				}
				break
			}
			order[pass] = append(order[pass], fmt.Sprint(x.IDs))
			for _, id := range x.Targets {
				if id >= 0 {
					got[id]++
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("pass %d predicts\n%v, expected\n%v", pass, got, want)
		}
	}
	if reflect.DeepEqual(order[0], order[1]) {
		t.Error("both passes have one order")
	}
}

// TestDealFillsOwnSequences: ranks that fill their own sequences have together the batch,
// and all of them the number of its targets.
func TestDealFillsOwnSequences(t *testing.T) {
	q := prepared(t, ended{}, records(t, 90), PrepareOptions{Options: Options{Prompt: "ask"}})
	whole, err := all(q.Shards, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []Encoded{q.Shards, whole} {
		open := func() *Batches {
			b, err := NewBatches(text, 4, 16, Cursor{Seed: 2})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		one, ranks := open(), [2]*Batches{open(), open()}
		ranks[0].Deal(0, 2)
		ranks[1].Deal(2, 4)
		for range 20 {
			want, err := one.Next()
			if err != nil {
				t.Fatal(err)
			}
			for r, b := range ranks {
				got, err := b.Next()
				if err != nil || got.Predicted() != want.Predicted() || !reflect.DeepEqual(got.Slice(2*r, 2*r+2).Targets, want.Slice(2*r, 2*r+2).Targets) || !reflect.DeepEqual(got.Slice(2*r, 2*r+2).IDs, want.Slice(2*r, 2*r+2).IDs) {
					t.Fatalf("rank %d: %d predicted, expected %d (%v)", r, got.Predicted(), want.Predicted(), err)
				}
			}
		}
	}
}

// TestTokenFilesGoOnAsBefore: a .bin file that is mapped gives the batches, the checksum
// and the samples that it gave when it was in memory.
func TestTokenFilesGoOnAsBefore(t *testing.T) {
	small(t)
	dir := filepath.Dir(records(t, 90))
	q := prepared(t, ended{}, filepath.Join(dir, "r.jsonl"), PrepareOptions{})
	whole, err := all(q.Shards, nil)
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	for _, id := range whole.IDs(0, len(whole)) {
		raw = append(raw, byte(id), byte(id>>8))
	}
	for _, pack := range []string{PackStream, PackDocuments} {
		p, err := Read(write(t, "x.bin", string(raw)), Options{Pack: pack})
		if err != nil {
			t.Fatal(err)
		}
		onDisk, err := Encode(ended{}, p)
		if err != nil {
			t.Fatal(err)
		}
		memory, err := all(onDisk, nil)
		if err != nil {
			t.Fatal(err)
		}
		if onDisk.Checksum() != memory.Checksum() {
			t.Errorf("%s: checksum %x, in memory %x", pack, onDisk.Checksum(), memory.Checksum())
		}
		at := Cursor{Seed: 3, Index: 2}
		if pack == PackDocuments {
			at.Pack = pack
		}
		a, err := NewBatches(onDisk, 2, 16, at)
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewBatches(memory, 2, 16, at)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := take(t, a, 60)
		if want, _ := take(t, b, 60); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: a run of before goes on with other batches", pack)
		}
		x, err := Sample(onDisk, 5, 16, 1)
		if err != nil {
			t.Fatal(err)
		}
		if y, err := Sample(memory, 5, 16, 1); pack == PackStream && mostOrdered > 60 && (err != nil || !reflect.DeepEqual(x, y)) {
			t.Errorf("%s: other samples (%v)", pack, err)
		}
		var windows [2][]int32
		for i, text := range []Encoded{onDisk, memory} {
			for w, err := range Windows(text, 3, 16, 0) {
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range w.Targets {
					if id >= 0 {
						windows[i] = append(windows[i], id)
					}
				}
			}
			sort.Slice(windows[i], func(a, b int) bool { return windows[i][a] < windows[i][b] })
		}
		if !reflect.DeepEqual(windows[0], windows[1]) {
			t.Errorf("%s: evaluations of %d and %d tokens", pack, len(windows[0]), len(windows[1]))
		}
	}
}
