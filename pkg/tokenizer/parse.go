package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// ErrFormat is returned when a file is no tokenizer, or one of a kind that is
// not supported; the message names the field.
var ErrFormat = errors.New("tokenizer: bad or unsupported tokenizer")

// file is a tokenizer.json.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         fileModel       `json:"model"`
}

type fileModel struct {
	Type         string    `json:"type"`
	Dropout      *float64  `json:"dropout"`
	Unk          *string   `json:"unk_token"`
	Prefix       *string   `json:"continuing_subword_prefix"`
	Suffix       *string   `json:"end_of_word_suffix"`
	FuseUnk      bool      `json:"fuse_unk"`
	ByteFallback bool      `json:"byte_fallback"`
	IgnoreMerges bool      `json:"ignore_merges"`
	Vocab        tokenIDs  `json:"vocab"`
	Merges       mergeList `json:"merges"`
}

// tokenIDs maps tokens to ids; it is written in the order of the ids.
type tokenIDs map[string]int32

// mergeList is pairs of tokens in the order of their ranks.
type mergeList [][2]string

// UnmarshalJSON reads "a b" strings, or the newer ["a", "b"] lists.
func (m *mergeList) UnmarshalJSON(text []byte) error {
	var lists [][]string
	if json.Unmarshal(text, &lists) == nil {
		for i, l := range lists {
			if len(l) != 2 {
				return fmt.Errorf("merge %d has %d parts, expected 2", i, len(l))
			}
			*m = append(*m, [2]string{l[0], l[1]})
		}
		return nil
	}
	var lines []string
	if err := json.Unmarshal(text, &lines); err != nil {
		return fmt.Errorf("merges: %w", err)
	}
	for i, l := range lines {
		a, b, ok := strings.Cut(l, " ")
		if !ok || strings.Contains(b, " ") {
			return fmt.Errorf("merge %d is %q, expected two tokens with a space between", i, l)
		}
		*m = append(*m, [2]string{a, b})
	}
	return nil
}

// strict decodes an object that may hold only the fields of v.
func strict(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// maxComponent bounds a normalizer, pre-tokenizer, decoder or post-processor in bytes.
const maxComponent = 64 << 10

// component makes a part of the pipeline by its type.
func component[T any](field string, raw json.RawMessage, table map[string]func(json.RawMessage) (T, error)) (T, error) {
	var none T
	if len(raw) > maxComponent {
		return none, fmt.Errorf("%s of %d bytes, expected at most %d", field, len(raw), maxComponent)
	}
	var head struct{ Type string }
	if err := json.Unmarshal(raw, &head); err != nil {
		return none, fmt.Errorf("%s: %w", field, err)
	}
	build, ok := table[head.Type]
	if !ok {
		var names []string
		for name := range table {
			names = append(names, name)
		}
		sort.Strings(names)
		return none, fmt.Errorf("%s.type is %q, expected one of %s", field, head.Type, strings.Join(names, ", "))
	}
	c, err := build(raw)
	if err != nil {
		return none, fmt.Errorf("%s %s: %w", field, head.Type, err)
	}
	return c, nil
}

// Parse opens the content of a tokenizer.json with a BPE model. What it asks for
// and is not supported is refused by the name of its field: an ErrFormat.
func Parse(text []byte) (Tokenizer, error) {
	if plain, err := (Bytes{}).JSON(); err == nil && bytes.Equal(text, plain) {
		return Bytes{}, nil
	}
	t, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return t, nil
}

func parse(text []byte) (*BPE, error) {
	var f file
	if err := strict(text, &f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	t := &BPE{text: text}
	var err error
	if !isNull(f.Normalizer) {
		if t.normalizers, err = component("normalizer", f.Normalizer, normalizers); err != nil {
			return nil, err
		}
	}
	if !isNull(f.PreTokenizer) {
		if t.steps, err = component("pre_tokenizer", f.PreTokenizer, preTokenizers); err != nil {
			return nil, err
		}
	}
	if t.decoder, err = parseDecoder(f.Decoder); err != nil {
		return nil, err
	}
	if err := t.vocabulary(&f); err != nil {
		return nil, err
	}
	if t.merger, err = newMerger(&f.Model, isByteLevel(t.steps)); err != nil {
		return nil, err
	}
	if err := t.addTokens(f.AddedTokens); err != nil {
		return nil, err
	}
	return t, t.wrap(f.PostProcessor)
}

// check refuses what would change ids and is not done here.
func (f *file) check() error {
	m := &f.Model
	given := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case m.Type != "BPE" && !(m.Type == "" && m.Merges != nil):
		return fmt.Errorf("model.type is %q, expected BPE", m.Type)
	case m.Vocab == nil:
		return errors.New("model.vocab is missing")
	case !isNull(f.Truncation) || !isNull(f.Padding):
		return errors.New("truncation or padding is set, expected null")
	case m.Dropout != nil && *m.Dropout != 0:
		return fmt.Errorf("model.dropout is %g, expected null", *m.Dropout)
	case given(m.Prefix) || given(m.Suffix):
		return errors.New("model with continuing_subword_prefix or end_of_word_suffix")
	}
	return nil
}

// vocabulary makes the pieces of the ids.
func (t *BPE) vocabulary(f *file) error {
	known, top := len(f.Model.Vocab)+len(f.AddedTokens), int32(-1)
	each := func(visit func(token string, id int32) error) error {
		for s, id := range f.Model.Vocab {
			if err := visit(s, id); err != nil {
				return err
			}
		}
		for _, a := range f.AddedTokens {
			if at, ok := f.Model.Vocab[a.Content]; ok && at != a.ID {
				return fmt.Errorf("added token %q has id %d, but %d in model.vocab", a.Content, a.ID, at)
			} else if !ok {
				if err := visit(a.Content, a.ID); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := each(func(token string, id int32) error {
		if id < 0 || int(id) > 2*known+1024 {
			return fmt.Errorf("token %q has id %d, expected 0 to about %d for %d tokens", token, id, known, known)
		}
		top = max(top, id)
		return nil
	})
	if err != nil {
		return err
	}
	t.pieces = make([][]byte, top+1)
	added := map[string]bool{}
	for _, a := range f.AddedTokens {
		added[a.Content] = true
	}
	return each(func(token string, id int32) error {
		if t.pieces[id] != nil {
			return fmt.Errorf("token %q has id %d, which another token has", token, id)
		}
		// The letters of an added token are letters, not bytes.
		if t.pieces[id] = []byte(token); !added[token] || !isByteLevel(t.steps) {
			t.pieces[id] = t.decoder.piece(token)
		}
		if t.pieces[id] == nil {
			t.pieces[id] = []byte{}
		}
		return nil
	})
}

func newMerger(f *fileModel, byteLevel bool) (*merger, error) {
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

func (m *merger) setMerges(f *fileModel) error {
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

// addTokens makes the matchers.
func (t *BPE) addTokens(all []addedToken) error {
	var tokens [2][]addedToken // raw, normalized
	var texts [2][][]byte
	for _, a := range all {
		k, text := 0, []byte(a.Content)
		if a.Normalized {
			k = 1
			for _, n := range t.normalizers {
				text = n.apply(text, beginning)
			}
		}
		tokens[k], texts[k] = append(tokens[k], a), append(texts[k], text)
	}
	var err error
	if t.raw, err = newMatcher(tokens[0], texts[0]); err == nil {
		t.normalized, err = newMatcher(tokens[1], texts[1])
	}
	if err != nil {
		return fmt.Errorf("added_tokens: %w", err)
	}
	t.eos = endOf(all)
	return nil
}

// ends are the names by which families of models call the end of a text.
var ends = []string{EndOfText, "</s>", "<|end_of_text|>", "<eos>", "<|im_end|>"}

// endOf is the id of the first of ends among the tokens, or -1.
func endOf(all []addedToken) int32 {
	for _, name := range ends {
		for _, a := range all {
			if a.Content == name {
				return a.ID
			}
		}
	}
	return -1
}

// wrap reads the post-processor.
func (t *BPE) wrap(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	w, err := component("post_processor", raw, processors)
	if err != nil {
		return err
	}
	for _, id := range append(append([]int32(nil), w.front...), w.back...) {
		if id < 0 || int(id) >= len(t.pieces) {
			return fmt.Errorf("post_processor holds id %d, which is outside the vocabulary of %d", id, len(t.pieces))
		}
	}
	t.front, t.back = w.front, w.back
	return nil
}
