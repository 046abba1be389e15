package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// byteLetters are the printable characters by which Hugging Face files spell
// bytes: those that are printable in Latin-1 stand for themselves, the others
// for characters from U+0100 on (GPT-2's encoder.py).
var byteLetters = func() (t [256]string) {
	next := rune(256)
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			t[b] = string(rune(b))
		} else {
			t[b] = string(next)
			next++
		}
	}
	return t
}()

// letterBytes is the inverse of byteLetters, one more than the byte; 0 spells none.
var letterBytes = func() (t [512]uint16) {
	for b, s := range byteLetters {
		r, _ := utf8.DecodeRuneInString(s)
		t[r] = uint16(b) + 1
	}
	return t
}()

// spell writes bytes in the letters of the file.
func spell(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteString(byteLetters[c])
	}
	return s.String()
}

// unspell is the inverse of spell; false when a character spells no byte.
func unspell(s string) ([]byte, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if int(r) >= len(letterBytes) || letterBytes[r] == 0 {
			return nil, false
		}
		b = append(b, byte(letterBytes[r]-1))
	}
	return b, true
}
