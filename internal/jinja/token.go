package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word of an expression.
type token struct {
	kind byte // 'n' a name, 's' a string, 'i' an integer, 'f' a float, 'o' an operator, 0 the end
	text string
}

// operators, the longer first.
var operators = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "|", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ":", "."}

// tokenize divides what stands in a tag into tokens.
func tokenize(s string) ([]token, error) {
	var out []token
	for {
		s = strings.TrimLeft(s, " \t\n\r\f\v")
		if s == "" {
			return append(out, token{}), nil
		}
		r, _ := utf8.DecodeRuneInString(s)
		switch {
		case r == '\'' || r == '"':
			text, n, err := stringLiteral(s)
			if err != nil {
				return nil, err
			}
			out, s = append(out, token{'s', text}), s[n:]
		case r >= '0' && r <= '9':
			t, n := numberLiteral(s)
			out, s = append(out, t), s[n:]
		case r == '_' || unicode.IsLetter(r):
			n := strings.IndexFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if n < 0 {
				n = len(s)
			}
			out, s = append(out, token{'n', s[:n]}), s[n:]
		default:
			n := 0
			for _, op := range operators {
				if strings.HasPrefix(s, op) {
					n = len(op)
					break
				}
			}
			if n == 0 {
				return nil, fmt.Errorf("unexpected character %q", r)
			}
			out, s = append(out, token{'o', s[:n]}), s[n:]
		}
	}
}

// numberLiteral reads 1, 1_000, 1.5 or 1e3.
func numberLiteral(s string) (token, int) {
	digits := func(i int) int {
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '_') {
			i++
		}
		return i
	}
	n, kind := digits(0), byte('i')
	if n+1 < len(s) && s[n] == '.' && s[n+1] >= '0' && s[n+1] <= '9' {
		n, kind = digits(n+1), 'f'
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if end := digits(m); end > m {
			n, kind = end, 'f'
		}
	}
	return token{kind, strings.ReplaceAll(s[:n], "_", "")}, n
}

// stringLiteral reads a string with Python's escapes; n is its length in the source.
func stringLiteral(s string) (text string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), i + 1, nil
		case c != '\\' || i+1 == len(s):
			b.WriteByte(c)
		default:
			i++
			w, err := escape(&b, s[i:])
			if err != nil {
				return "", 0, err
			}
			i += w
		}
	}
	return "", 0, fmt.Errorf("a string without its end: %.20s", s)
}

// escape writes what stands behind a backslash and returns how much more than one byte it took.
func escape(b *strings.Builder, s string) (int, error) {
	if i := strings.IndexByte(`ntr\'"abfv0`, s[0]); i >= 0 {
		b.WriteByte("\n\t\r\\'\"\a\b\f\v\x00"[i])
		return 0, nil
	}
	n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	if s[0] == '\n' {
		return 0, nil
	}
	if n == 0 {
		b.WriteByte('\\')
		b.WriteByte(s[0])
		return 0, nil
	}
	if len(s) <= n {
		return 0, fmt.Errorf("escape \\%s is too short", s)
	}
	r, err := strconv.ParseUint(s[1:1+n], 16, 32)
	if err != nil || r > unicode.MaxRune {
		return 0, fmt.Errorf("escape \\%s is no character", s[:1+n])
	}
	b.WriteRune(rune(r))
	return n, nil
}
