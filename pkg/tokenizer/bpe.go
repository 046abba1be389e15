package tokenizer

import (
	"fmt"
	"sync"
)

// BPE is byte-pair encoding (Sennrich et al., https://arxiv.org/abs/1508.07909),
// on bytes as in GPT-2 or on characters as in Llama 2, with everything that a
// tokenizer.json puts around it.
type BPE struct {
	text        []byte       // the tokenizer.json it was made from
	raw         *matcher     // added tokens that are looked for before the normalizers
	normalized  *matcher     // and those behind them
	normalizers []normalizer // in order
	steps       []step       // pre-tokenizers, in order
	merger      *merger
	decoder     decoder
	pieces      [][]byte // the bytes that each id stands for within a text; nil where no token has the id
	front, back []int32
	eos         int32
	encoders    sync.Pool // of *encoder
}

// EndOfText is the special token that ends a text.
const EndOfText = "<|endoftext|>"

// Vocab implements Tokenizer.
func (t *BPE) Vocab() int { return len(t.pieces) }

// EOS implements Tokenizer.
func (t *BPE) EOS() int32 { return t.eos }

// Template implements Tokenizer.
func (t *BPE) Template() (front, back []int32) { return t.front, t.back }

// JSON implements Tokenizer: what was opened, unchanged.
func (t *BPE) JSON() ([]byte, error) { return t.text, nil }

// Encode implements Tokenizer. An added token in the text, special or not, is its id.
func (t *BPE) Encode(dst []int32, text []byte) []int32 { return t.encode(dst, text, beginning) }

func (t *BPE) encode(dst []int32, text []byte, at place) []int32 {
	e, ok := t.encoders.Get().(*encoder)
	if !ok {
		e = &encoder{t: t, cache: map[string]span32{}}
	}
	e.dst = dst
	t.raw.each(text, func(section []byte, first bool) {
		e.section(section, first, at)
	}, e.add)
	dst, e.dst = e.dst, nil
	t.encoders.Put(e)
	return dst
}

// encoder is what one goroutine needs to encode.
type encoder struct {
	t     *BPE
	dst   []int32
	cache map[string]span32 // of pre-tokens, in kept
	kept  []int32
	ranks []uint64
}

type span32 struct{ lo, hi int32 }

// Bounds of an encoder's cache.
const (
	maxCached  = 1 << 16 // pre-tokens
	maxKeptKey = 48      // bytes of one
)

func (e *encoder) add(id int32) { e.dst = append(e.dst, id) }

// section encodes text between added tokens; first says that it begins the text.
func (e *encoder) section(text []byte, first bool, at place) {
	if !first {
		at = within
	}
	for _, n := range e.t.normalizers {
		text = n.apply(text, at)
	}
	e.t.normalized.each(text, func(part []byte, first bool) {
		at := at
		if !first {
			at = within
		}
		e.split(0, part, at)
	}, e.add)
}

// split applies the pre-tokenizers from a level on.
func (e *encoder) split(level int, text []byte, at place) {
	if level == len(e.t.steps) {
		if len(text) > 0 {
			e.chunk(text)
		}
		return
	}
	s := e.t.steps[level]
	for text = s.prepare(text, at); len(text) > 0; at = within {
		skip, n := s.next(text)
		if n > 0 {
			e.split(level+1, text[skip:skip+n], at)
		}
		text = text[skip+n:]
	}
}

// chunk encodes a pre-token, cut further where no merge can cross.
func (e *encoder) chunk(text []byte) {
	for len(text) > 0 {
		n := e.t.merger.cut(text)
		e.word(text[:n])
		text = text[n:]
	}
}

func (e *encoder) word(w []byte) {
	if at, ok := e.cache[string(w)]; ok {
		e.dst = append(e.dst, e.kept[at.lo:at.hi]...)
		return
	}
	start := len(e.dst)
	e.dst = e.t.merger.encode(e, e.dst, w)
	if len(w) > maxKeptKey {
		return
	}
	if len(e.cache) == maxCached {
		clear(e.cache)
		e.kept = e.kept[:0]
	}
	lo := int32(len(e.kept))
	e.kept = append(e.kept, e.dst[start:]...)
	e.cache[string(w)] = span32{lo, int32(len(e.kept))}
}

// Decode implements Tokenizer.
func (t *BPE) Decode(dst []byte, ids []int32) ([]byte, error) {
	start := len(dst)
	for _, id := range ids {
		piece, err := t.Piece(id)
		if err != nil {
			return dst[:start], err
		}
		dst = append(dst, piece...)
	}
	n := t.decoder.strip(dst[start:])
	return append(dst[:start], dst[start+n:]...), nil
}

// Piece implements Tokenizer.
func (t *BPE) Piece(id int32) ([]byte, error) {
	if id < 0 || int(id) >= len(t.pieces) {
		return nil, fmt.Errorf("tokenizer: id %d is outside the vocabulary of %d", id, len(t.pieces))
	}
	return t.pieces[id], nil
}
