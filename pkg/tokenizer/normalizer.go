package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

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
var normalizers map[string]func(ps *parser, raw json.RawMessage) ([]normalizer, error)

func init() {
	normalizers = map[string]func(*parser, json.RawMessage) ([]normalizer, error){
		"Sequence": normSequence, "Prepend": normPrepend, "Replace": normReplace,
		"BertNormalizer": normBert, "Precompiled": normPrecompiled, "Strip": normStrip, "Nmt": normRunes(nmtRune),
		"StripAccents": normRunes(dropAnyMark), "Lowercase": normRunes(lowerRune),
		"NFC": normForm(norm.NFC), "NFD": normForm(norm.NFD), "NFKC": normForm(norm.NFKC), "NFKD": normForm(norm.NFKD),
	}
}

func normSequence(ps *parser, raw json.RawMessage) ([]normalizer, error) {
	var p struct {
		Type        string
		Normalizers []json.RawMessage
	}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	var all []normalizer
	for i, raw := range p.Normalizers {
		n, err := component(ps, "normalizers", raw, normalizers)
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

func normPrepend(ps *parser, raw json.RawMessage) ([]normalizer, error) {
	var p struct{ Type, Prepend string }
	err := ps.read(raw, &p)
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
	front bool // the pattern matches at the beginning only
	blank bool // it matches nothing but spaces, and no single one between two letters
}

func normReplace(ps *parser, raw json.RawMessage) ([]normalizer, error) {
	r, err := parseReplace(ps, raw)
	return []normalizer{r}, err
}

func parseReplace(ps *parser, raw json.RawMessage) (replace, error) {
	var p struct {
		Type    string
		Pattern struct {
			String *string
			Regex  *string
		}
		Content string
	}
	if err := ps.read(raw, &p); err != nil {
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
		pattern := *p.Pattern.Regex
		if r.find, err = findRegex(pattern); err != nil {
			return r, err
		}
		r.front = strings.HasPrefix(pattern, `\A`)
		r.blank = pattern == `\A +` || pattern == ` +\z` || pattern == " {2,}"
	default:
		return r, fmt.Errorf("pattern holds neither a String nor a Regex")
	}
	return r, nil
}

func (r replace) apply(text []byte, at place) []byte {
	if r.space {
		return bytes.ReplaceAll(text, []byte{' '}, r.by)
	}
	if r.front && at == continued {
		return text
	}
	var out []byte
	for {
		lo, hi := r.find(text)
		if lo < 0 || r.front && out != nil {
			return append(out, text...)
		}
		if out == nil {
			out = make([]byte, 0, len(text))
		}
		out = append(append(out, text[:lo]...), r.by...)
		text = text[hi:]
	}
}

func (r replace) cuttable() bool { return r.space || r.blank }

// form is a Unicode normalization form.
type form struct{ norm.Form }

func normForm(f norm.Form) func(*parser, json.RawMessage) ([]normalizer, error) {
	return func(ps *parser, raw json.RawMessage) ([]normalizer, error) {
		var p struct{ Type string }
		err := ps.read(raw, &p)
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

func normRunes(m runeMap) func(*parser, json.RawMessage) ([]normalizer, error) {
	return func(ps *parser, raw json.RawMessage) ([]normalizer, error) { return []normalizer{m}, ps.plain(raw) }
}

// nmtRune is the rule of SentencePiece's nmt normalizers: some controls are dropped,
// white space and marks without a width are spaces.
func nmtRune(dst []byte, r rune) []byte {
	switch {
	case r >= 1 && r <= 8, r == 0xb, r >= 0xe && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
		return dst
	case r == '\t', r == '\n', r == 0xc, r == '\r', r == 0x1680, r >= 0x200b && r <= 0x200f, r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
		return append(dst, ' ')
	}
	return utf8.AppendRune(dst, r)
}

// strip takes the white space from the ends of a section.
type strip struct{ left, right bool }

func normStrip(ps *parser, raw json.RawMessage) ([]normalizer, error) {
	p := struct {
		Type  string
		Left  bool `json:"strip_left"`
		Right bool `json:"strip_right"`
	}{Left: true, Right: true}
	err := ps.read(raw, &p)
	return []normalizer{strip{p.Left, p.Right}}, err
}

func (s strip) apply(text []byte, at place) []byte {
	if s.left && at != continued {
		text = bytes.TrimLeftFunc(text, unicode.IsSpace)
	}
	if s.right {
		text = bytes.TrimRightFunc(text, unicode.IsSpace)
	}
	return text
}

func (strip) cuttable() bool { return true }
