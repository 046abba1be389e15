package export

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// part is what is read of a normalizer or pre-tokenizer.
type part struct {
	Type        string
	Normalizers []json.RawMessage
	Steps       []json.RawMessage `json:"pretokenizers"`
	Pattern     struct{ Regex, String string }
	Content     string
	Map         []byte `json:"precompiled_charsmap"`
	Scheme      string `json:"prepend_scheme"`
	Lowercase   *bool
}

// parts are the members of a component, of a Sequence too.
func parts(raw json.RawMessage) ([]part, error) {
	var p part
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	if p.Type != "Sequence" {
		return []part{p}, nil
	}
	var all []part
	for _, raw := range slices.Concat(p.Normalizers, p.Steps) {
		var q part
		if err := json.Unmarshal(raw, &q); err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	return all, nil
}

// unigram: llama.cpp calls it t5, and has SentencePiece's own settings for what a
// tokenizer.json lays out as normalizers. Three things are llama.cpp's own: a text that
// begins with a space gets one more in front where runs of spaces are kept, white space at
// the end is stripped only where it is spaces, and scores are float32.
func (v *vocabulary) unigram(f *tokenizerFile) error {
	v.model, v.pre, v.scores = "t5", "default", f.Model.Vocab.scores
	if f.Model.ByteFallback {
		return fmt.Errorf("%w: a Unigram model with byte_fallback, which llama.cpp does not do", ErrTokenizer)
	}
	if f.Model.UnkID != nil && *f.Model.UnkID < len(v.types) {
		v.types[*f.Model.UnkID] = tokenUnknown
	}
	norms, err := parts(f.Normalizer)
	if err != nil {
		return fmt.Errorf("%w: normalizer: %w", ErrTokenizer, err)
	}
	for _, n := range norms {
		switch {
		case n.Type == "Precompiled":
			v.charsMap = n.Map
		case n.Type == "Prepend":
			v.prefix = true
		case n.Type == "Replace" && n.Pattern.Regex == " {2,}":
			v.collapse = true
		case n.Type == "Strip", n.Type == "Replace" && (n.Pattern.String == " " || n.Pattern.Regex == `\A +` || n.Pattern.Regex == ` +\z`):
		default:
			return fmt.Errorf("%w: normalizer %s in front of a Unigram model", ErrTokenizer, n.Type)
		}
	}
	pres, err := parts(f.PreTokenizer)
	if err != nil {
		return fmt.Errorf("%w: pre_tokenizer: %w", ErrTokenizer, err)
	}
	for _, p := range pres {
		switch p.Type {
		case "Metaspace":
			v.prefix = v.prefix || p.Scheme != "never"
		case "WhitespaceSplit":
			v.collapse = true
		default:
			return fmt.Errorf("%w: pre_tokenizer %s in front of a Unigram model", ErrTokenizer, p.Type)
		}
	}
	return nil
}

// wordPiece: llama.cpp marks tokens that begin a word, and writes every text in small
// letters without accents.
func (v *vocabulary) wordPiece(f *tokenizerFile) error {
	v.model, v.pre = "bert", "default"
	norms, err := parts(f.Normalizer)
	if err != nil || len(norms) != 1 || norms[0].Type != "BertNormalizer" || norms[0].Lowercase != nil && !*norms[0].Lowercase {
		return fmt.Errorf("%w: a WordPiece model without a BertNormalizer that lowercases, which is what llama.cpp does", ErrTokenizer)
	}
	prefix := "##"
	if f.Model.Prefix != nil {
		prefix = *f.Model.Prefix
	}
	for id, s := range v.tokens {
		if v.types[id] == tokenNormal {
			if inner, ok := strings.CutPrefix(s, prefix); ok {
				v.tokens[id] = inner
			} else {
				v.tokens[id] = "▁" + s
			}
		}
		if f.Model.Unk != nil && s == *f.Model.Unk {
			v.types[id] = tokenUnknown
		}
	}
	return nil
}
