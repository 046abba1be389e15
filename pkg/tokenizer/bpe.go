package tokenizer

import (
	"fmt"
	"sync"
)

// BPE is byte-level byte-pair encoding (Sennrich et al., https://arxiv.org/abs/1508.07909;
// on bytes as in GPT-2).
type BPE struct {
	tokens  [][]byte         // bytes of each id
	special map[string]int32 // tokens that text never becomes by itself
	eos     int32
	bytes   [256]int32
	merges  map[pair]merge

	mu    sync.RWMutex
	cache map[string][]int32 // ids of pre-tokens seen
}

type pair struct{ a, b int32 }

type merge struct {
	rank int32
	id   int32
}

// maxCache bounds the cache of pre-tokens.
const maxCache = 1 << 16

// EndOfText is the special token that ends a text.
const EndOfText = "<|endoftext|>"

// Vocab implements Tokenizer.
func (t *BPE) Vocab() int { return len(t.tokens) }

// EOS implements Tokenizer.
func (t *BPE) EOS() int32 { return t.eos }

// Encode implements Tokenizer. Special tokens in the text are ordinary text.
func (t *BPE) Encode(dst []int32, text []byte) []int32 {
	for len(text) > 0 {
		n := pretoken(text)
		dst = t.word(dst, text[:n])
		text = text[n:]
	}
	return dst
}

func (t *BPE) word(dst []int32, w []byte) []int32 {
	if len(w) == 1 {
		return append(dst, t.bytes[w[0]])
	}
	t.mu.RLock()
	ids, ok := t.cache[string(w)]
	t.mu.RUnlock()
	if ok {
		return append(dst, ids...)
	}
	start := len(dst)
	dst = t.merge(dst, w)
	if len(w) <= 64 {
		t.mu.Lock()
		if len(t.cache) < maxCache {
			t.cache[string(w)] = append([]int32(nil), dst[start:]...)
		}
		t.mu.Unlock()
	}
	return dst
}

// merge encodes one pre-token: the lowest rank merges first, leftmost first.
func (t *BPE) merge(dst []int32, w []byte) []int32 {
	start := len(dst)
	for _, b := range w {
		dst = append(dst, t.bytes[b])
	}
	ids := dst[start:]
	if len(ids) > 256 {
		return append(dst[:start], t.mergeLong(ids)...)
	}
	for len(ids) > 1 {
		at, best := -1, merge{}
		for i := range len(ids) - 1 {
			if m, ok := t.merges[pair{ids[i], ids[i+1]}]; ok && (at < 0 || m.rank < best.rank) {
				at, best = i, m
			}
		}
		if at < 0 {
			break
		}
		ids[at] = best.id
		ids = append(ids[:at+1], ids[at+2:]...)
	}
	return dst[:start+len(ids)]
}

// Decode implements Tokenizer.
func (t *BPE) Decode(dst []byte, ids []int32) ([]byte, error) {
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.tokens) {
			return dst, fmt.Errorf("tokenizer: id %d is outside the vocabulary of %d", id, len(t.tokens))
		}
		dst = append(dst, t.tokens[id]...)
	}
	return dst, nil
}
