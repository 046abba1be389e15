package tokenizer

import (
	"encoding/json"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// runeMap is a normalizer that rewrites each character without a look at others.
type runeMap func(dst []byte, r rune) []byte

func (m runeMap) apply(text []byte, _ place) []byte {
	out := make([]byte, 0, len(text)+8)
	for _, r := range string(text) {
		out = m(out, r)
	}
	return out
}

func (runeMap) cuttable() bool { return true }

// normBert is what BERT does to a text (tokenization.py): controls are dropped,
// white space becomes spaces, CJK characters stand apart, and where the model is
// uncased, accents and capitals go.
func normBert(ps *parser, raw json.RawMessage) ([]normalizer, error) {
	p := struct {
		Type               string
		CleanText          bool  `json:"clean_text"`
		HandleChineseChars bool  `json:"handle_chinese_chars"`
		StripAccents       *bool `json:"strip_accents"` // default: as lowercase
		Lowercase          bool
	}{CleanText: true, HandleChineseChars: true, Lowercase: true}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	var all []normalizer
	if p.CleanText {
		all = append(all, runeMap(cleanRune))
	}
	if p.HandleChineseChars {
		all = append(all, runeMap(spaceCJK))
	}
	if p.StripAccents == nil && p.Lowercase || p.StripAccents != nil && *p.StripAccents {
		all = append(all, form{norm.NFD}, runeMap(dropMark))
	}
	if p.Lowercase {
		all = append(all, runeMap(lowerRune))
	}
	return all, nil
}

func cleanRune(dst []byte, r rune) []byte {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return append(dst, ' ')
	case r == 0 || r == utf8.RuneError || isOther(r):
		return dst
	case unicode.IsSpace(r):
		return append(dst, ' ')
	}
	return utf8.AppendRune(dst, r)
}

// isOther reports controls, format characters and private use: Unicode's category C
// without what is not assigned.
func isOther(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) }

// cjk are the blocks that BERT calls Chinese characters.
var cjk = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0x9fff, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x20000, Hi: 0x2a6df, Stride: 1}, {Lo: 0x2a700, Hi: 0x2b73f, Stride: 1}, {Lo: 0x2b740, Hi: 0x2b81f, Stride: 1}, {Lo: 0x2b920, Hi: 0x2ceaf, Stride: 1}, {Lo: 0x2f800, Hi: 0x2fa1f, Stride: 1}},
}

func spaceCJK(dst []byte, r rune) []byte {
	if unicode.Is(cjk, r) {
		return append(utf8.AppendRune(append(dst, ' '), r), ' ')
	}
	return utf8.AppendRune(dst, r)
}

func dropMark(dst []byte, r rune) []byte {
	if unicode.Is(unicode.Mn, r) {
		return dst
	}
	return utf8.AppendRune(dst, r)
}

// dropAnyMark is StripAccents, which drops enclosing and spacing marks as well.
func dropAnyMark(dst []byte, r rune) []byte {
	if unicode.IsMark(r) {
		return dst
	}
	return utf8.AppendRune(dst, r)
}

// lowerRune is Unicode's full lower case of a character: one is written as two.
func lowerRune(dst []byte, r rune) []byte {
	if r == 'İ' {
		return append(dst, "i\u0307"...)
	}
	return utf8.AppendRune(dst, unicode.ToLower(r))
}

// isPunctuation is P of Unicode, and what ASCII has besides.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && asciiClass[r] == other
	}
	return unicode.IsPunct(r)
}
