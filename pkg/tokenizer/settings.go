package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// settings is what is read of a tokenizer_config.json: what transformers puts
// around a text, where its class decides and not the tokenizer.json.
type settings struct {
	Class  string          `json:"tokenizer_class"`
	AddBOS *bool           `json:"add_bos_token"` // default true
	AddEOS *bool           `json:"add_eos_token"` // default false
	BOS    json.RawMessage `json:"bos_token"`     // a string, or an object with content; default <s>
	EOS    json.RawMessage `json:"eos_token"`     // default </s>
}

// withSettings gives the text of a tokenizer.json the template that the
// tokenizer_config.json beside it asks for. Transformers' LlamaTokenizerFast
// (tokenization_llama_fast.py, update_post_processor) makes its template of
// add_bos_token and add_eos_token; other classes take what tokenizer.json says.
func withSettings(dir fs.FS, text []byte) ([]byte, error) {
	const name = settingsName
	b, err := readBounded(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return text, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var s settings
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
	}
	class := strings.TrimSuffix(s.Class, "Fast")
	if class != "LlamaTokenizer" && class != "CodeLlamaTokenizer" || s.AddBOS == nil && s.AddEOS == nil {
		return text, nil
	}
	out, err := s.rewrite(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
	}
	return out, nil
}

// rewrite is text with another post-processor, or text itself where its own says the same.
func (s settings) rewrite(text []byte) ([]byte, error) {
	var f file
	var m struct{ Vocab tokenIDs }
	ps := &parser{}
	if err := ps.read(text, &f); err != nil {
		return text, nil // Parse says what is wrong with it
	}
	if json.Unmarshal(f.Model, &m) != nil {
		m.Vocab = nil // a unigram's is a list; its special tokens are added ones
	}
	id := func(field string, raw json.RawMessage, token string) (named, error) {
		return f.token(m.Vocab, field, raw, token)
	}
	var front, back []named
	if s.AddBOS == nil || *s.AddBOS {
		t, err := id("bos_token", s.BOS, "<s>")
		if err != nil {
			return nil, err
		}
		front = append(front, t)
	}
	if s.AddEOS != nil && *s.AddEOS {
		t, err := id("eos_token", s.EOS, "</s>")
		if err != nil {
			return nil, err
		}
		back = append(back, t)
	}
	var have wrap
	var err error
	if !isNull(f.PostProcessor) {
		if have, err = component(ps, "post_processor", f.PostProcessor, processors); err != nil {
			return nil, err
		}
	}
	ids := func(all []named) (out []int32) {
		for _, t := range all {
			out = append(out, t.id)
		}
		return out
	}
	if slices.Equal(have.front, ids(front)) && slices.Equal(have.back, ids(back)) {
		return text, nil
	}
	if f.PostProcessor, err = template(front, back); err != nil {
		return nil, err
	}
	return write(&f)
}

// token is the token that a field of the settings names, or the one that it has by default.
func (f *file) token(vocab tokenIDs, field string, raw json.RawMessage, token string) (named, error) {
	if !isNull(raw) {
		if err := json.Unmarshal(raw, &token); err != nil {
			var object struct{ Content string }
			if err := json.Unmarshal(raw, &object); err != nil {
				return named{}, fmt.Errorf("%s is %.40s, expected a string", field, raw)
			}
			token = object.Content
		}
	}
	for _, a := range f.AddedTokens {
		if a.Content == token {
			return named{token, a.ID}, nil
		}
	}
	if at, ok := vocab[token]; ok {
		return named{token, at}, nil
	}
	return named{}, fmt.Errorf("%s is %q, which is no token", field, token)
}
