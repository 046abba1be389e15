package tokenizer

import (
	"container/heap"
	"fmt"
	"sort"
)

// Train learns a byte-level BPE of vocab ids from text: the 256 bytes, merges
// in the order of how often their pair occurs (ties go to the lower ids), and
// EndOfText as the last id. It fails when text does not have enough distinct
// pairs for so many ids. The same text gives the same tokenizer.
func Train(text []byte, vocab int) (*Pipeline, error) {
	if vocab < 257 {
		return nil, fmt.Errorf("tokenizer: vocabulary of %d, expected at least 257", vocab)
	}
	t := newTrainer(text)
	tokens := make([][]byte, 256, vocab)
	for i := range tokens {
		tokens[i] = []byte{byte(i)}
	}
	var merges []pair
	for len(tokens) < vocab-1 {
		p, ok := t.best()
		if !ok {
			return nil, fmt.Errorf("tokenizer: the text has pairs for %d ids only, found vocab %d; take a smaller tokenizer.vocab or more text", len(tokens)+1, vocab)
		}
		id := int32(len(tokens))
		tokens = append(tokens, append(append([]byte(nil), tokens[p.a]...), tokens[p.b]...))
		merges = append(merges, p)
		t.join(p, id)
	}
	v, m := tokenIDs{EndOfText: int32(len(tokens))}, make(mergeList, len(merges))
	for id, b := range tokens {
		v[spell(b)] = int32(id)
	}
	for i, p := range merges {
		m[i] = [2]string{spell(tokens[p.a]), spell(tokens[p.b])}
	}
	json, err := write(byteLevelFile(v, m, []addedToken{{ID: v[EndOfText], Content: EndOfText, Special: true}}))
	if err != nil {
		return nil, err
	}
	return parse(json)
}

// trainer holds the distinct pre-tokens of a text and the counts of their pairs.
type trainer struct {
	words  []word
	counts map[pair]int
	where  map[pair]map[int]struct{} // words in which a pair may occur
	queue  queue
}

type word struct {
	ids []int32
	n   int // occurrences
}

func newTrainer(text []byte) *trainer {
	seen := map[string]int{}
	for len(text) > 0 {
		n := scanGPT2(text)
		seen[string(text[:n])]++
		text = text[n:]
	}
	distinct := make([]string, 0, len(seen))
	for w := range seen {
		distinct = append(distinct, w)
	}
	sort.Strings(distinct)
	t := &trainer{counts: map[pair]int{}, where: map[pair]map[int]struct{}{}}
	for _, w := range distinct {
		ids := make([]int32, len(w))
		for i := range ids {
			ids[i] = int32(w[i])
		}
		t.words = append(t.words, word{ids, seen[w]})
		t.count(len(t.words)-1, +1)
	}
	for p, n := range t.counts {
		t.queue = append(t.queue, counted{p, n})
	}
	heap.Init(&t.queue)
	return t
}

// count adds or removes the pairs of a word.
func (t *trainer) count(w, sign int) {
	ids := t.words[w].ids
	for i := range len(ids) - 1 {
		p := pair{ids[i], ids[i+1]}
		t.counts[p] += sign * t.words[w].n
		if sign > 0 {
			if t.where[p] == nil {
				t.where[p] = map[int]struct{}{}
			}
			t.where[p][w] = struct{}{}
		}
	}
}

// best is the most frequent pair. The queue may hold stale counts, which are
// always too high or gone: they are put right when they come up.
func (t *trainer) best() (pair, bool) {
	for t.queue.Len() > 0 {
		c := heap.Pop(&t.queue).(counted)
		switch n := t.counts[c.pair]; {
		case n == c.n && n > 0:
			return c.pair, true
		case n > 0 && n < c.n:
			heap.Push(&t.queue, counted{c.pair, n})
		}
	}
	return pair{}, false
}

// join replaces the pair by id in every word.
func (t *trainer) join(p pair, id int32) {
	grown := map[pair]bool{}
	for w := range t.where[p] {
		before := len(t.words[w].ids)
		t.count(w, -1)
		ids := t.words[w].ids
		k := 0
		for i := 0; i < len(ids); i++ {
			if i+1 < len(ids) && ids[i] == p.a && ids[i+1] == p.b {
				ids[k] = id
				i++
			} else {
				ids[k] = ids[i]
			}
			k++
		}
		t.words[w].ids = ids[:k]
		t.count(w, +1)
		if k == before {
			continue
		}
		for i := range k - 1 {
			if q := (pair{ids[i], ids[i+1]}); q.a == id || q.b == id {
				grown[q] = true
			}
		}
	}
	delete(t.where, p)
	delete(t.counts, p)
	for q := range grown {
		heap.Push(&t.queue, counted{q, t.counts[q]})
	}
}

// counted is a pair with its count when it was queued.
type counted struct {
	pair
	n int
}

type queue []counted

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].n != q[j].n {
		return q[i].n > q[j].n
	}
	if q[i].a != q[j].a {
		return q[i].a < q[j].a
	}
	return q[i].b < q[j].b
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(counted)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
