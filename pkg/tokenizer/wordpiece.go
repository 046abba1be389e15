package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// wordPiece is BERT's model (https://arxiv.org/abs/1609.08144, section 4.1): a word
// is cut, from its beginning, into the longest tokens that there are; those that do
// not begin a word are spelled with a prefix. A word that cannot be cut is one unknown token.
type wordPiece struct {
	tokens   trie
	ids      []int32 // of the trie's tokens
	inner    int32   // node that the prefix leads to, -1 where no token has it
	unk      int32
	maxChars int
}

func parseWordPiece(p *parser, raw json.RawMessage, byteLevel bool) (subwords, tokenIDs, error) {
	f := fileWordPiece{Unk: "[UNK]"}
	if err := p.read(raw, &f); err != nil {
		return nil, nil, err
	}
	if byteLevel {
		return nil, nil, errors.New("model.type is WordPiece with a ByteLevel pre_tokenizer, which is not supported")
	}
	unk, ok := f.Vocab[f.Unk]
	if !ok {
		return nil, nil, fmt.Errorf("model.unk_token is %q, which is no token", f.Unk)
	}
	prefix, maxChars := "##", 100
	if f.Prefix != nil {
		prefix = *f.Prefix
	}
	if f.MaxChars != nil {
		maxChars = *f.MaxChars
	}
	w := &wordPiece{unk: unk, maxChars: maxChars}
	texts := make([][]byte, 0, len(f.Vocab))
	for s, id := range f.Vocab {
		if s != "" {
			texts, w.ids = append(texts, []byte(s)), append(w.ids, id)
		}
	}
	var err error
	if w.tokens, err = newTrie(texts); err != nil {
		return nil, nil, fmt.Errorf("model.vocab: %w", err)
	}
	w.inner = w.tokens.walk([]byte(prefix))
	return w, f.Vocab, nil
}

func (w *wordPiece) encode(_ *encoder, dst []int32, word []byte) []int32 {
	if utf8.RuneCount(word) > w.maxChars {
		return append(dst, w.unk)
	}
	start, node := len(dst), int32(0)
	for len(word) > 0 {
		k, n := int32(-1), 0
		if node >= 0 {
			k, n = w.tokens.longest(node, word)
		}
		if k < 0 {
			return append(dst[:start], w.unk)
		}
		dst, word, node = append(dst, w.ids[k]), word[n:], w.inner
	}
	return dst
}

func (w *wordPiece) cut(text []byte) int { return len(text) }

func (w *wordPiece) separates() bool { return false }
