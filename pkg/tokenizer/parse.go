package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrFormat is returned when a file is no tokenizer, or one of a kind that is
// not supported; the message names the field.
var ErrFormat = errors.New("tokenizer: bad or unsupported tokenizer")

// Parse opens the content of a tokenizer.json with a BPE, Unigram or WordPiece
// model. A value that would change ids and is not supported is refused by the name
// of its field: an ErrFormat. See Warnings for keys that are not known.
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

// Warnings is one line for each key of the tokenizer's file that is not known and was ignored.
func Warnings(t Tokenizer) []string {
	if p, ok := t.(*Pipeline); ok {
		return p.warnings
	}
	return nil
}

// HasToken reports that an id stands for a token. Ids of a padded vocabulary do not:
// they are never made from a text and must not be drawn by a model.
func HasToken(t Tokenizer, id int32) bool {
	if p, ok := t.(*Pipeline); ok {
		return id >= 0 && int(id) < len(p.pieces) && p.pieces[id] != nil
	}
	return id >= 0 && int(id) < t.Vocab()
}

func parse(text []byte) (*Pipeline, error) {
	// The kind of model is looked at first: it explains most other errors.
	kind, err := modelKind(text)
	if err != nil {
		return nil, err
	}
	var f file
	p := &parser{}
	if err := p.read(text, &f); err != nil {
		return nil, err
	}
	t := &Pipeline{text: text}
	if !isNull(f.Normalizer) {
		if t.normalizers, err = component(p, "normalizer", f.Normalizer, normalizers); err != nil {
			return nil, err
		}
	}
	if !isNull(f.PreTokenizer) {
		if t.steps, err = component(p, "pre_tokenizer", f.PreTokenizer, preTokenizers); err != nil {
			return nil, err
		}
	}
	if t.decoder, err = p.parseDecoder(f.Decoder); err != nil {
		return nil, err
	}
	var ids tokenIDs
	if t.model, ids, err = models[kind](p, f.Model, isByteLevel(t.steps)); err != nil {
		return nil, fmt.Errorf("%s model: %w", kind, err)
	}
	if err := t.vocabulary(ids, f.AddedTokens); err != nil {
		return nil, err
	}
	if err := t.addTokens(f.AddedTokens); err != nil {
		return nil, err
	}
	err = t.wrap(p, f.PostProcessor)
	t.warnings = p.warnings
	return t, err
}

// models read a model by its type.
var models map[string]func(p *parser, raw json.RawMessage, byteLevel bool) (subwords, tokenIDs, error)

func init() {
	models = map[string]func(*parser, json.RawMessage, bool) (subwords, tokenIDs, error){
		"BPE": parseBPE, "Unigram": parseUnigram, "WordPiece": parseWordPiece,
	}
}

// modelKind is the type of a tokenizer.json's model. Files of before there was a
// type are told apart by their keys.
func modelKind(text []byte) (string, error) {
	var f struct {
		Model struct {
			Type   *string         `json:"type"`
			Merges json.RawMessage `json:"merges"`
			Vocab  json.RawMessage `json:"vocab"`
			Max    json.RawMessage `json:"max_input_chars_per_word"`
		} `json:"model"`
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return "", err
	}
	m := f.Model
	kind := ""
	switch {
	case m.Type != nil:
		kind = *m.Type
	case m.Merges != nil:
		kind = "BPE"
	case m.Max != nil:
		kind = "WordPiece"
	case len(m.Vocab) > 0 && m.Vocab[0] == '[':
		kind = "Unigram"
	}
	if models[kind] == nil {
		return "", fmt.Errorf("model.type is %q, expected BPE, Unigram or WordPiece", kind)
	}
	if isNull(m.Vocab) {
		return "", errors.New("model.vocab is missing")
	}
	return kind, nil
}

// vocabulary makes the pieces of the ids.
func (t *Pipeline) vocabulary(ids tokenIDs, all []addedToken) error {
	known, top := len(ids)+len(all), int32(-1)
	each := func(visit func(token string, id int32) error) error {
		for s, id := range ids {
			if err := visit(s, id); err != nil {
				return err
			}
		}
		for _, a := range all {
			if at, ok := ids[a.Content]; ok && at != a.ID {
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
	for _, a := range all {
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
		if t.decoder.first != nil {
			if b, other := t.decoder.first(token); other {
				if t.firsts == nil {
					t.firsts = map[int32][]byte{}
				}
				t.firsts[id] = b
			}
		}
		return nil
	})
}

// addTokens makes the matchers.
func (t *Pipeline) addTokens(all []addedToken) error {
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
	t.special = map[int32]bool{}
	for _, a := range all {
		if a.Special {
			t.special[a.ID] = true
		}
	}
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
func (t *Pipeline) wrap(p *parser, raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	w, err := component(p, "post_processor", raw, processors)
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
