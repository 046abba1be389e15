package tokenizer

import "container/heap"

// mergeLong is merge in n log n for very long pre-tokens: neighbours are a
// linked list, candidates a heap ordered by rank, then place.
func (m *merger) mergeLong(ids []int32) []int32 {
	n := len(ids)
	next, prev := make([]int, n), make([]int, n)
	for i := range ids {
		next[i], prev[i] = i+1, i-1
	}
	out := append([]int32(nil), ids...)
	alive := make([]bool, n)
	var h candidates
	push := func(i int) {
		if i < 0 || next[i] >= n {
			return
		}
		if r := m.merges.get(out[i], out[next[i]]); r != noMerge {
			heap.Push(&h, candidate{r, i, out[i], out[next[i]]})
		}
	}
	for i := range ids {
		alive[i] = true
		push(i)
	}
	for h.Len() > 0 {
		c := heap.Pop(&h).(candidate)
		i := c.at
		if !alive[i] || out[i] != c.a || next[i] >= n || out[next[i]] != c.b {
			continue // one of the two has merged since
		}
		gone := next[i]
		out[i], alive[gone] = int32(uint32(c.merge)), false
		if next[i] = next[gone]; next[i] < n {
			prev[next[i]] = i
		}
		push(i)
		push(prev[i])
	}
	k := 0
	for i := 0; i < n; i = next[i] {
		out[k] = out[i]
		k++
	}
	return out[:k]
}

type candidate struct {
	merge uint64 // as mergeTable has it
	at    int
	a, b  int32
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].merge < c[j].merge || c[i].merge == c[j].merge && c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	old := *c
	x := old[len(old)-1]
	*c = old[:len(old)-1]
	return x
}
