package tokenizer

import "fmt"

// trie finds tokens that a text begins with. Its edges are a hash table of (node,
// byte), so that a quarter of a million tokens stay small.
type trie struct {
	next  mergeTable // (node, byte) -> node
	token []int32    // id of the token that ends at a node, or -1
}

// maxTrie bounds a trie in nodes.
const maxTrie = 1 << 23

// newTrie makes a trie of tokens; ids are positions in texts.
func newTrie(texts [][]byte) (trie, error) {
	total := 1
	for _, s := range texts {
		total += len(s)
	}
	if total > maxTrie {
		return trie{}, fmt.Errorf("tokens of %d bytes in all, expected at most %d", total, maxTrie)
	}
	t := trie{newMergeTable(total), []int32{-1}}
	for id, s := range texts {
		at := int32(0)
		for _, b := range s {
			to := t.step(at, b)
			if to < 0 {
				to = int32(len(t.token))
				t.token = append(t.token, -1)
				t.next.set(pair{at, int32(b)}, 0, to)
			}
			at = to
		}
		t.token[at] = int32(id)
	}
	return t, nil
}

// step follows a byte from a node, -1 where no token goes on with it.
func (t *trie) step(node int32, b byte) int32 {
	if v := t.next.get(node, int32(b)); v != noMerge {
		return int32(uint32(v))
	}
	return -1
}

// walk is the node that a text leads to, or -1.
func (t *trie) walk(text []byte) int32 {
	at := int32(0)
	for _, b := range text {
		if at = t.step(at, b); at < 0 {
			return -1
		}
	}
	return at
}

// longest is the longest token, from a node on, that text begins with, or -1, and its length.
func (t *trie) longest(node int32, text []byte) (token int32, n int) {
	token = -1
	for i, b := range text {
		if node = t.step(node, b); node < 0 {
			break
		}
		if t.token[node] >= 0 {
			token, n = t.token[node], i+1
		}
	}
	return token, n
}
