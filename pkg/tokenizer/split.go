package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// pretoken returns the length of the first pre-token of text by GPT-2's rule,
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// text must not be empty. Bytes that are not UTF-8 count as punctuation.
func pretoken(text []byte) int {
	if n := contraction(text); n > 0 {
		return n
	}
	i := 0
	if text[0] == ' ' && len(text) > 1 {
		i = 1
	}
	switch c, _ := class(text[i:]); {
	case c != space:
		return i + span(text[i:], c)
	case i == 1:
		i = 0
	}
	n := span(text, space)
	if n == len(text) {
		return n
	}
	// White space before a word leaves its last character to the word.
	_, last := utf8.DecodeLastRune(text[:n])
	if n > last {
		return n - last
	}
	return n
}

type runeClass int

const (
	other runeClass = iota
	letter
	number
	space
)

// class is the class of the first character and its length in bytes.
func class(text []byte) (runeClass, int) {
	if c := text[0]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRune(text)
	switch {
	case r == utf8.RuneError && n == 1:
		return other, 1
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return other, n
}

var asciiClass = func() (t [utf8.RuneSelf]runeClass) {
	for c := range t {
		r := rune(c)
		switch {
		case unicode.IsLetter(r):
			t[c] = letter
		case unicode.IsNumber(r):
			t[c] = number
		case unicode.IsSpace(r):
			t[c] = space
		}
	}
	return t
}()

// span is the length of the leading run of characters of a class.
func span(text []byte, want runeClass) int {
	n := 0
	for n < len(text) {
		c, w := class(text[n:])
		if c != want {
			break
		}
		n += w
	}
	return n
}

// contraction is the length of a leading 's, 't, 're, 've, 'm, 'll or 'd, or 0.
func contraction(text []byte) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	switch text[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) >= 3 {
		switch string(text[1:3]) {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}
