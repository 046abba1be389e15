package tokenizer

import "math/bits"

type pair struct{ a, b int32 }

// noMerge is what a mergeTable has for a pair that does not merge.
const noMerge = ^uint64(0)

// mergeTable maps pairs of ids to the rank of their merge, in the upper half,
// and to the id that it makes, in the lower: open addressing, at most half full.
type mergeTable struct {
	keys, values []uint64
	shift        uint
}

func newMergeTable(n int) mergeTable {
	size := 1 << bits.Len(uint(2*n+1))
	t := mergeTable{make([]uint64, size), make([]uint64, size), uint(64 - bits.Len(uint(size-1)))}
	for i := range t.keys {
		t.keys[i] = noMerge
	}
	return t
}

func (t *mergeTable) slot(key uint64) int { return int(key * 0x9e3779b97f4a7c15 >> t.shift) }

// set adds a merge; of two of the same pair the later counts, as it does for
// Hugging Face.
func (t *mergeTable) set(p pair, rank int, id int32) {
	key := uint64(uint32(p.a))<<32 | uint64(uint32(p.b))
	i := t.slot(key)
	for t.keys[i] != noMerge && t.keys[i] != key {
		i = (i + 1) & (len(t.keys) - 1)
	}
	t.keys[i], t.values[i] = key, uint64(rank)<<32|uint64(uint32(id))
}

func (t *mergeTable) get(a, b int32) uint64 {
	key := uint64(uint32(a))<<32 | uint64(uint32(b))
	for i := t.slot(key); ; i = (i + 1) & (len(t.keys) - 1) {
		switch t.keys[i] {
		case key:
			return t.values[i]
		case noMerge:
			return noMerge
		}
	}
}
