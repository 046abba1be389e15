package tokenizer

import (
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// wordStep splits a text by the class of its characters: runs of one class stay
// together, or are dropped, or each character is a pre-token.
type wordStep func(r rune) wordClass

type wordClass uint8

const (
	dropped  wordClass = iota // between words
	inWord                    // runs of these are words
	symbols                   // and of these, apart from words
	isolated                  // each is one
)

func (wordStep) prepare(text []byte, _ place) []byte { return text }

func (s wordStep) next(text []byte) (skip, n int) {
	for skip < len(text) {
		r, w := utf8.DecodeRune(text[skip:])
		c := s(r)
		if c == dropped {
			skip += w
			continue
		}
		for n = w; c != isolated && skip+n < len(text); n += w {
			if r, w = utf8.DecodeRune(text[skip+n:]); s(r) != c {
				break
			}
		}
		return skip, n
	}
	return skip, 0
}

func classStep(s wordStep) func(*parser, json.RawMessage) ([]step, error) {
	return func(ps *parser, raw json.RawMessage) ([]step, error) { return []step{s}, ps.plain(raw) }
}

// bertWord is BERT's rule: words, and each character of punctuation.
func bertWord(r rune) wordClass {
	switch {
	case unicode.IsSpace(r):
		return dropped
	case isPunctuation(r):
		return isolated
	}
	return inWord
}

// plainWord is \w+|[^\w\s]+.
func plainWord(r rune) wordClass {
	switch {
	case unicode.IsSpace(r):
		return dropped
	case isWord(r):
		return inWord
	}
	return symbols
}

func blankWord(r rune) wordClass {
	if unicode.IsSpace(r) {
		return dropped
	}
	return inWord
}

func prePunctuation(ps *parser, raw json.RawMessage) ([]step, error) {
	p := struct{ Type, Behavior string }{Behavior: "Isolated"}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	if err := checkBehavior(p.Behavior); err != nil {
		return nil, err
	}
	return []step{splitStep{find: findRune(isPunctuation), behavior: p.Behavior}}, nil
}

func preDelimiter(ps *parser, raw json.RawMessage) ([]step, error) {
	var p struct{ Type, Delimiter string }
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(p.Delimiter) != 1 {
		return nil, fmt.Errorf("delimiter is %q, expected a character", p.Delimiter)
	}
	return []step{splitStep{find: findLiteral(p.Delimiter), behavior: "Removed"}}, nil
}

// findRune finds characters of a class.
func findRune(is func(rune) bool) finder {
	return func(text []byte) (int, int) {
		for i := 0; i < len(text); {
			r, w := utf8.DecodeRune(text[i:])
			if is(r) {
				return i, i + w
			}
			i += w
		}
		return -1, -1
	}
}
