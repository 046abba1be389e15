package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// runeClass is what the patterns of byte-level tokenizers tell apart.
type runeClass uint8

const (
	other  runeClass = iota // punctuation, marks, controls, bytes that are not UTF-8
	letter                  // \p{L}
	number                  // \p{N}
	space                   // \s, the White_Space property
)

func classify(r rune) runeClass {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// classes is a table of the basic multilingual plane.
var classes = sync.OnceValue(func() *[1 << 16]runeClass {
	var t [1 << 16]runeClass
	for r := range t {
		t[r] = classify(rune(r))
	}
	return &t
})

var asciiClass = func() (t [utf8.RuneSelf]runeClass) {
	for c := range t {
		t[c] = classify(rune(c))
	}
	return t
}()

// class is the class of the first character of text, which is not empty, and
// its length in bytes.
func class(text []byte) (runeClass, int) {
	if c := text[0]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRune(text)
	switch {
	case r == utf8.RuneError && n == 1:
		return other, 1
	case r < 1<<16:
		return classes()[r], n
	}
	return classify(r), n
}

// span is the length of the leading run of characters of a class.
func span(text []byte, want runeClass) int {
	n := 0
	for n < len(text) {
		if c := text[n]; c < utf8.RuneSelf {
			if asciiClass[c] != want {
				return n
			}
			n++
			continue
		}
		c, w := class(text[n:])
		if c != want {
			break
		}
		n += w
	}
	return n
}

// blanks is the length of white space that is a pre-token of its own, from a
// run of n bytes at the start of text: all of it at the end of the text, else all
// but its last character, which belongs to the word behind it, if that leaves
// anything: \s+(?!\S)|\s+.
func blanks(text []byte, n int) int {
	if n == len(text) {
		return n
	}
	if _, last := utf8.DecodeLastRune(text[:n]); n > last {
		return n - last
	}
	return n
}
