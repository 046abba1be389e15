package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrKeep is returned for a tokenizer whose vocabulary cannot be made smaller.
var ErrKeep = errors.New("tokenizer: the vocabulary cannot be rewritten")

// Keep is the tokenizer.json of t with a part of its vocabulary: the tokens of ids, and
// what its own structure needs so that every text that it encodes today still is
// encoded: bytes, single characters where there are no bytes, the unknown token, special
// tokens, and for a BPE the tokens that a kept one is merged of. A text whose ids are all
// kept has the same tokens as before. Ids are renumbered densely in their order;
// renumbered has the new id of each old one, or -1.
func Keep(t Tokenizer, ids []int32) (text []byte, renumbered []int32, err error) {
	if e, ok := t.(ending); ok {
		t = e.Tokenizer
	}
	p, ok := t.(*Pipeline)
	if !ok {
		return nil, nil, fmt.Errorf("%w: its ids are the bytes", ErrKeep)
	}
	var f file
	if err := json.Unmarshal(p.text, &f); err != nil {
		return nil, nil, err
	}
	k := &keeper{p: p, kept: make([]bool, len(p.pieces))}
	for _, id := range ids {
		if !HasToken(t, id) {
			return nil, nil, fmt.Errorf("%w: id %d stands for no token", ErrKeep, id)
		}
		k.kept[id] = true
	}
	for _, id := range append(append([]int32(nil), p.front...), p.back...) {
		k.kept[id] = true
	}
	for _, a := range f.AddedTokens {
		k.kept[a.ID] = k.kept[a.ID] || a.Special
	}
	var model any
	switch m := p.model.(type) {
	case *merger:
		model, err = k.bpe(&f, m)
	case *unigram:
		model, err = k.unigram(&f, m)
	default:
		model, err = k.wordPiece(&f)
	}
	if err != nil {
		return nil, nil, err
	}
	f.Model = rawJSON(model)
	text, err = k.finish(&f)
	return text, k.ids, err
}

// keeper chooses tokens, then numbers them.
type keeper struct {
	p    *Pipeline
	kept []bool
	ids  []int32 // new id of each old one, -1 without; made by number
}

func (k *keeper) number() {
	k.ids = make([]int32, len(k.kept))
	next := int32(0)
	for id, kept := range k.kept {
		if k.ids[id] = -1; kept && k.p.pieces[id] != nil {
			k.ids[id] = next
			next++
		}
	}
}

// vocab is the kept part of a vocabulary.
func (k *keeper) vocab(v tokenIDs) tokenIDs {
	out := tokenIDs{}
	for s, id := range v {
		if k.ids[id] >= 0 {
			out[s] = k.ids[id]
		}
	}
	return out
}

// needed keeps what a vocabulary needs to encode any text.
func (k *keeper) needed(v tokenIDs, bytes bool, unk string) {
	for s, id := range v {
		_, isByte := fallbackByte(s)
		char := utf8.RuneCountInString(s) == 1
		if isByte || char && !bytes || s == unk || s == spaceMark {
			k.kept[id] = true
		}
	}
}

func (k *keeper) bpe(f *file, m *merger) (any, error) {
	var b fileBPE
	if err := json.Unmarshal(f.Model, &b); err != nil {
		return nil, err
	}
	unk := ""
	if b.Unk != nil {
		unk = *b.Unk
	}
	k.needed(b.Vocab, m.byteLevel || m.fallback, unk)
	if m.byteLevel {
		for _, id := range m.bytes {
			if id >= 0 {
				k.kept[id] = true
			}
		}
	}
	for s, id := range b.Vocab {
		if k.kept[id] {
			k.parts(m, s)
		}
	}
	k.number()
	merges := mergeList{}
	for _, two := range b.Merges {
		a, c, whole := b.Vocab[two[0]], b.Vocab[two[1]], b.Vocab[two[0]+two[1]]
		if k.ids[a] >= 0 && k.ids[c] >= 0 && k.ids[whole] >= 0 {
			merges = append(merges, two)
		}
	}
	b.Vocab, b.Merges = k.vocab(b.Vocab), merges
	return b, nil
}

// parts keeps the tokens that a token is merged of, step by step.
func (k *keeper) parts(m *merger, token string) {
	word := []byte(token)
	if m.byteLevel {
		b, ok := unspell(token)
		if !ok {
			return
		}
		word = b
	}
	if len(word) > 1<<16 {
		return
	}
	ids := m.symbols(nil, word)
	for {
		at, best := -1, noMerge
		for i := range ids {
			if k.kept[ids[i]] = true; i+1 < len(ids) {
				if r := m.merges.get(ids[i], ids[i+1]); r < best {
					at, best = i, r
				}
			}
		}
		if at < 0 {
			return
		}
		ids[at] = int32(uint32(best))
		ids = append(ids[:at+1], ids[at+2:]...)
	}
}

func (k *keeper) unigram(f *file, m *unigram) (any, error) {
	var u fileUnigram
	if err := json.Unmarshal(f.Model, &u); err != nil {
		return nil, err
	}
	v := tokenIDs{}
	for id, s := range u.Vocab {
		v[s.Piece] = int32(id)
	}
	unk := ""
	if m.unk >= 0 {
		unk = u.Vocab[m.unk].Piece
	}
	// The least likely piece decides what an unknown character costs.
	low := 0
	for id, s := range u.Vocab {
		if s.Score < u.Vocab[low].Score {
			low = id
		}
	}
	k.kept[low] = true
	k.needed(v, m.all, unk)
	k.number()
	var pieces []scoredPiece
	for id, s := range u.Vocab {
		if k.ids[id] < 0 {
			continue
		}
		if int(k.ids[id]) != len(pieces) {
			return nil, fmt.Errorf("%w: an added token stands among the pieces of a Unigram model", ErrKeep)
		}
		pieces = append(pieces, s)
	}
	if u.Vocab = pieces; m.unk >= 0 {
		at := int(k.ids[m.unk])
		u.UnkID = &at
	}
	return u, nil
}

func (k *keeper) wordPiece(f *file) (any, error) {
	w := fileWordPiece{Unk: "[UNK]"}
	if err := json.Unmarshal(f.Model, &w); err != nil {
		return nil, err
	}
	prefix := "##"
	if w.Prefix != nil {
		prefix = *w.Prefix
	}
	k.needed(w.Vocab, false, w.Unk)
	for s, id := range w.Vocab {
		if inner, ok := strings.CutPrefix(s, prefix); ok && utf8.RuneCountInString(inner) == 1 {
			k.kept[id] = true
		}
	}
	k.number()
	w.Vocab = k.vocab(w.Vocab)
	return w, nil
}

// finish renumbers what stands around the model.
func (k *keeper) finish(f *file) ([]byte, error) {
	var added []addedToken
	names := map[int32]string{}
	for _, a := range f.AddedTokens {
		if names[a.ID] = a.Content; k.ids[a.ID] >= 0 {
			a.ID = k.ids[a.ID]
			added = append(added, a)
		}
	}
	f.AddedTokens = added
	if len(k.p.front)+len(k.p.back) > 0 {
		list := func(ids []int32) (out []named, err error) {
			for _, id := range ids {
				if names[id] == "" {
					return nil, fmt.Errorf("%w: post_processor holds id %d, which is no added token", ErrKeep, id)
				}
				out = append(out, named{names[id], k.ids[id]})
			}
			return out, nil
		}
		front, err := list(k.p.front)
		if err != nil {
			return nil, err
		}
		back, err := list(k.p.back)
		if err != nil {
			return nil, err
		}
		if f.PostProcessor, err = template(front, back); err != nil {
			return nil, err
		}
	}
	return write(f)
}
