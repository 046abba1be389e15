package tokenizer

import (
	"fmt"
	"sync"
)

// Pipeline is a tokenizer.json: normalizers, pre-tokenizers, a model (BPE, Unigram or
// WordPiece), a decoder, and the tokens that are added to them.
type Pipeline struct {
	text        []byte       // the tokenizer.json it was made from
	raw         *matcher     // added tokens that are looked for before the normalizers
	normalized  *matcher     // and those behind them
	normalizers []normalizer // in order
	steps       []step       // pre-tokenizers, in order
	model       subwords
	decoder     decoder
	firsts      map[int32][]byte // what an id stands for at the beginning of a text, where that is something else
	warnings    []string
	pieces      [][]byte // the bytes that each id stands for within a text; nil where no token has the id
	front, back []int32
	eos         int32
	special     map[int32]bool // added tokens that are no text
	encoders    sync.Pool      // of *encoder
}

// subwords is the model of a pipeline: it turns a pre-token, which is not empty, into ids.
type subwords interface {
	encode(e *encoder, dst []int32, word []byte) []int32
	// cut is the length of the first part of a pre-token that no token crosses.
	cut(text []byte) int
	// separates reports that a word is cut from the one before it without a pre-tokenizer.
	separates() bool
}

// EndOfText is the special token that ends a text.
const EndOfText = "<|endoftext|>"

// Vocab implements Tokenizer.
func (t *Pipeline) Vocab() int { return len(t.pieces) }

// EOS implements Tokenizer.
func (t *Pipeline) EOS() int32 { return t.eos }

// Special reports that an id is a special token: what it stands for is no part of a text.
func (t *Pipeline) Special(id int32) bool { return t.special[id] }

// Template implements Tokenizer.
func (t *Pipeline) Template() (front, back []int32) { return t.front, t.back }

// JSON implements Tokenizer: what was opened, unchanged.
func (t *Pipeline) JSON() ([]byte, error) { return t.text, nil }

// Encode implements Tokenizer. An added token in the text, special or not, is its id.
func (t *Pipeline) Encode(dst []int32, text []byte) []int32 { return t.encode(dst, text, beginning) }

func (t *Pipeline) encode(dst []int32, text []byte, at place) []int32 {
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
	t     *Pipeline
	dst   []int32
	cache map[string]span32 // of pre-tokens, in kept
	kept  []int32
	ranks []uint64
	paths []path
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
		if skip > 0 {
			at = within
		}
		if n > 0 {
			e.split(level+1, text[skip:skip+n], at)
		}
		text = text[skip+n:]
	}
}

// chunk encodes a pre-token, cut further where no merge can cross.
func (e *encoder) chunk(text []byte) {
	for len(text) > 0 {
		n := e.t.model.cut(text)
		e.pretoken(text[:n])
		text = text[n:]
	}
}

func (e *encoder) pretoken(w []byte) {
	if at, ok := e.cache[string(w)]; ok {
		e.dst = append(e.dst, e.kept[at.lo:at.hi]...)
		return
	}
	start := len(e.dst)
	e.dst = e.t.model.encode(e, e.dst, w)
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
func (t *Pipeline) Decode(dst []byte, ids []int32) ([]byte, error) {
	start := len(dst)
	for i, id := range ids {
		piece, err := t.Piece(id)
		if err != nil {
			return dst[:start], err
		}
		if b, ok := t.firsts[id]; ok && i == 0 {
			piece = b
		}
		dst = append(dst, piece...)
	}
	n := t.decoder.strip(dst[start:])
	return append(dst[:start], dst[start+n:]...), nil
}

// Piece implements Tokenizer.
func (t *Pipeline) Piece(id int32) ([]byte, error) {
	if id < 0 || int(id) >= len(t.pieces) {
		return nil, fmt.Errorf("tokenizer: id %d is outside the vocabulary of %d", id, len(t.pieces))
	}
	return t.pieces[id], nil
}
