package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// merger is byte-pair encoding (Sennrich et al., https://arxiv.org/abs/1508.07909), on
// bytes as in GPT-2 or on characters as in Llama 2. It turns a pre-token into ids:
// characters (or bytes) first, then merges, the lowest rank first and the leftmost of equals.
type merger struct {
	byteLevel bool
	bytes     [256]int32     // id of each byte, or of its fallback token; -1 without
	runes     map[rune]int32 // ids of characters, on characters
	fallback  bool           // a character without an id is its bytes
	unk       int32          // what no token stands for; -1: dropped
	fuse      bool           // a run of those is one id
	merges    mergeTable
	whole     map[string]int32 // with ignore_merges: a pre-token that is a token is that id
	mark      []byte           // no token holds it behind anything but itself, if not nil
}

func parseBPE(p *parser, raw json.RawMessage, byteLevel bool) (subwords, tokenIDs, error) {
	var f fileBPE
	if err := p.read(raw, &f); err != nil {
		return nil, nil, err
	}
	given := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case f.Dropout != nil && *f.Dropout != 0:
		return nil, nil, fmt.Errorf("model.dropout is %g, expected null", *f.Dropout)
	case given(f.Prefix) || given(f.Suffix):
		return nil, nil, fmt.Errorf("model.type is BPE with continuing_subword_prefix or end_of_word_suffix, which is not supported")
	}
	m, err := newMerger(&f, byteLevel)
	return m, f.Vocab, err
}

func newMerger(f *fileBPE, byteLevel bool) (*merger, error) {
	m := &merger{byteLevel: byteLevel, fallback: f.ByteFallback, unk: -1, fuse: f.FuseUnk, runes: map[rune]int32{}}
	if f.Unk != nil && *f.Unk != "" {
		id, ok := f.Vocab[*f.Unk]
		if !ok {
			return nil, fmt.Errorf("model.unk_token is %q, which is no token", *f.Unk)
		}
		m.unk = id
	}
	for b := range m.bytes {
		m.bytes[b] = -1
		name := fmt.Sprintf("<0x%02X>", b)
		if byteLevel {
			name = byteLetters[b]
		}
		if id, ok := f.Vocab[name]; ok {
			m.bytes[b] = id
		}
	}
	if f.IgnoreMerges {
		m.whole = make(map[string]int32, len(f.Vocab))
	}
	for s, id := range f.Vocab {
		if r, n := utf8.DecodeRuneInString(s); n == len(s) && n > 0 {
			m.runes[r] = id
		}
		if f.IgnoreMerges {
			if b, ok := unspell(s); !byteLevel {
				m.whole[s] = id
			} else if ok {
				m.whole[string(b)] = id
			}
		}
	}
	return m, m.setMerges(f)
}

func (m *merger) setMerges(f *fileBPE) error {
	m.merges = newMergeTable(len(f.Merges))
	mark := !m.byteLevel
	for rank, two := range f.Merges {
		a, okA := f.Vocab[two[0]]
		b, okB := f.Vocab[two[1]]
		joined, okC := f.Vocab[two[0]+two[1]]
		if !okA || !okB || !okC {
			return fmt.Errorf("merge %d of %q and %q: a part or the whole is no token", rank, two[0], two[1])
		}
		m.merges.set(pair{a, b}, rank, joined)
		mark = mark && !strings.Contains(strings.TrimLeft(two[0]+two[1], spaceMark), spaceMark)
	}
	// Without a pre-tokenizer a whole text is one pre-token; it can be cut before a
	// mark where no merge makes a token that holds one behind another character.
	if _, ok := f.Vocab[spaceMark]; ok && mark && !f.IgnoreMerges {
		m.mark = []byte(spaceMark)
	}
	return nil
}

func (m *merger) separates() bool { return m.mark != nil }

// encode appends the ids of w, which is not empty.
func (m *merger) encode(e *encoder, dst []int32, w []byte) []int32 {
	if m.whole != nil {
		if id, ok := m.whole[string(w)]; ok {
			return append(dst, id)
		}
	}
	start := len(dst)
	dst = m.symbols(dst, w)
	ids := dst[start:]
	if len(ids) > 256 {
		return append(dst[:start], m.mergeLong(ids)...)
	}
	return dst[:start+m.merge(e, ids)]
}

// symbols appends the ids of the characters of w.
func (m *merger) symbols(dst []int32, w []byte) []int32 {
	unknown := false // the last symbol was
	miss := func() {
		if m.unk >= 0 && !(unknown && m.fuse) {
			dst = append(dst, m.unk)
		}
		unknown = true
	}
	if m.byteLevel {
		for _, b := range w {
			if id := m.bytes[b]; id >= 0 {
				dst, unknown = append(dst, id), false
			} else {
				miss()
			}
		}
		return dst
	}
	for len(w) > 0 {
		r, n := utf8.DecodeRune(w)
		c := w[:n]
		w = w[n:]
		if id, ok := m.runes[r]; ok && !(r == utf8.RuneError && n == 1) {
			dst, unknown = append(dst, id), false
			continue
		}
		if !m.inBytes(c) {
			miss()
			continue
		}
		for _, b := range c {
			dst = append(dst, m.bytes[b])
		}
		unknown = false
	}
	return dst
}

// inBytes reports that every byte of a character has a fallback token.
func (m *merger) inBytes(c []byte) bool {
	if !m.fallback {
		return false
	}
	for _, b := range c {
		if m.bytes[b] < 0 {
			return false
		}
	}
	return true
}

// merge merges ids in place and returns how many are left.
func (m *merger) merge(e *encoder, ids []int32) int {
	if len(ids) < 2 {
		return len(ids)
	}
	ranks := e.ranks[:0] // of each symbol with the one behind it
	for i := range len(ids) - 1 {
		ranks = append(ranks, m.merges.get(ids[i], ids[i+1]))
	}
	e.ranks = ranks
	for {
		at, best := -1, noMerge
		for i, r := range ranks {
			if r < best {
				at, best = i, r
			}
		}
		if at < 0 {
			return len(ranks) + 1
		}
		ids[at] = int32(uint32(best))
		copy(ids[at+1:], ids[at+2:len(ranks)+1])
		copy(ranks[at:], ranks[at+1:])
		ranks = ranks[:len(ranks)-1]
		if at > 0 {
			ranks[at-1] = m.merges.get(ids[at-1], ids[at])
		}
		if at < len(ranks) {
			ranks[at] = m.merges.get(ids[at], ids[at+1])
		}
	}
}

// cut is the length of the first part of a pre-token that merges never leave: up
// to a mark behind something else. Llama 2 has no pre-tokenizer, so that a whole
// text is one pre-token.
func (m *merger) cut(text []byte) int {
	if m.mark == nil {
		return len(text)
	}
	at := 0
	for bytes.HasPrefix(text[at:], m.mark) {
		at += len(m.mark)
	}
	if n := bytes.Index(text[at:], m.mark); n >= 0 {
		return at + n
	}
	return len(text)
}
