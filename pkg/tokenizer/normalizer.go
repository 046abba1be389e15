package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a section of the text.
type normalizer interface {
	apply(text []byte, at place) []byte
	// cuttable reports that a text can be cut before a space between two letters
	// of ASCII without the result being another.
	cuttable() bool
}

// normalizers make the normalizers of each type.
var normalizers map[string]func(raw json.RawMessage) ([]normalizer, error)

func init() {
	normalizers = map[string]func(json.RawMessage) ([]normalizer, error){
		"Sequence": normSequence, "Prepend": normPrepend, "Replace": normReplace,
		"NFC": normForm(norm.NFC), "NFD": normForm(norm.NFD), "NFKC": normForm(norm.NFKC), "NFKD": normForm(norm.NFKD),
	}
}

func normSequence(raw json.RawMessage) ([]normalizer, error) {
	var p struct {
		Type        string
		Normalizers []json.RawMessage
	}
	if err := strict(raw, &p); err != nil {
		return nil, err
	}
	var all []normalizer
	for i, raw := range p.Normalizers {
		n, err := component("normalizers", raw, normalizers)
		if err != nil {
			return nil, fmt.Errorf("%d of a Sequence: %w", i, err)
		}
		all = append(all, n...)
	}
	return all, nil
}

// maxContent bounds what a normalizer puts into a text at one place, in bytes.
const maxContent = 64

// prepend puts a text in front of a section that is not empty.
type prepend string

func normPrepend(raw json.RawMessage) ([]normalizer, error) {
	var p struct{ Type, Prepend string }
	err := strict(raw, &p)
	if err == nil && len(p.Prepend) > maxContent {
		err = fmt.Errorf("a text of %d bytes, expected at most %d", len(p.Prepend), maxContent)
	}
	return []normalizer{prepend(p.Prepend)}, err
}

func (p prepend) apply(text []byte, at place) []byte {
	if len(text) == 0 || at == continued {
		return text
	}
	return append(append(make([]byte, 0, len(p)+len(text)), p...), text...)
}

func (prepend) cuttable() bool { return true }

// replace writes every match of a pattern as another text.
type replace struct {
	find  finder
	by    []byte
	space bool // a single space is what is replaced
}

func normReplace(raw json.RawMessage) ([]normalizer, error) {
	r, err := parseReplace(raw)
	return []normalizer{r}, err
}

func parseReplace(raw json.RawMessage) (replace, error) {
	var p struct {
		Type    string
		Pattern struct {
			String *string
			Regex  *string
		}
		Content string
	}
	if err := strict(raw, &p); err != nil {
		return replace{}, err
	}
	r := replace{by: []byte(p.Content)}
	if len(r.by) > maxContent {
		return r, fmt.Errorf("content of %d bytes, expected at most %d", len(r.by), maxContent)
	}
	switch {
	case p.Pattern.String != nil && p.Pattern.Regex == nil && *p.Pattern.String != "":
		r.find, r.space = findLiteral(*p.Pattern.String), *p.Pattern.String == " "
	case p.Pattern.Regex != nil && p.Pattern.String == nil:
		var err error
		if r.find, err = findRegex(*p.Pattern.Regex); err != nil {
			return r, err
		}
	default:
		return r, fmt.Errorf("pattern holds neither a String nor a Regex")
	}
	return r, nil
}

func (r replace) apply(text []byte, _ place) []byte {
	if r.space {
		return bytes.ReplaceAll(text, []byte{' '}, r.by)
	}
	var out []byte
	for {
		lo, hi := r.find(text)
		if lo < 0 {
			return append(out, text...)
		}
		out = append(append(out, text[:lo]...), r.by...)
		text = text[hi:]
	}
}

func (r replace) cuttable() bool { return r.space }

// form is a Unicode normalization form.
type form struct{ norm.Form }

func normForm(f norm.Form) func(json.RawMessage) ([]normalizer, error) {
	return func(raw json.RawMessage) ([]normalizer, error) {
		var p struct{ Type string }
		err := strict(raw, &p)
		return []normalizer{form{f}}, err
	}
}

func (f form) apply(text []byte, _ place) []byte {
	if f.IsNormal(text) {
		return text
	}
	return f.Bytes(text)
}

func (form) cuttable() bool { return true }
