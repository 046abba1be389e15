package tokenizer

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// scanners are the patterns that have a scanner of their own: it returns the
// length of the first pre-token of a text that is not empty. Such patterns match
// everywhere, and a word is never joined with a space behind it.
var scanners = map[string]func(text []byte) int{}

// finder finds the first match of a pattern in text, or -1, -1.
type finder func(text []byte) (lo, hi int)

// findLiteral finds a string.
func findLiteral(s string) finder {
	find := []byte(s)
	return func(text []byte) (int, int) {
		i := bytes.Index(text, find)
		if i < 0 {
			return -1, -1
		}
		return i, i + len(s)
	}
}

// blankTail ends most patterns: white space leaves its last character to the
// word behind it. Go's regexp, which keeps its promise of linear time by having
// no look-ahead, needs it done by hand.
const blankTail = `\s+(?!\S)|\s+`

// findRegex compiles a pattern in the syntax of Oniguruma, which Hugging Face's
// library uses, as far as it means the same in Go's regexp once the classes \s, \d
// and \w are spelled out in Unicode; anything else is an error.
func findRegex(pattern string) (finder, error) {
	body, blank := strings.CutSuffix(pattern, blankTail)
	if blank && body != "" {
		if body, blank = strings.CutSuffix(body, "|"); !blank {
			return nil, fmt.Errorf("pattern %.80q: look-ahead is supported only as a last %s", pattern, blankTail)
		}
	}
	text, err := translate(body)
	if err != nil {
		return nil, err
	}
	if blank {
		if text != "" {
			text += "|"
		}
		text += "(" + classText['s'] + "+)"
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("pattern %.80q: %w", pattern, err)
	}
	if re.MatchString("") {
		return nil, fmt.Errorf("pattern %.80q matches the empty text", pattern)
	}
	if !blank {
		return func(text []byte) (int, int) {
			at := re.FindIndex(text)
			if at == nil {
				return -1, -1
			}
			return at[0], at[1]
		}, nil
	}
	return func(text []byte) (int, int) {
		at := re.FindSubmatchIndex(text)
		if at == nil {
			return -1, -1
		}
		if last := at[len(at)-2:]; last[0] >= 0 {
			return at[0], at[0] + blanks(text[at[0]:], at[1]-at[0])
		}
		return at[0], at[1]
	}, nil
}

// classText spells the shorthand classes as Oniguruma understands them.
var classText = map[byte]string{
	's': `[\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]`,
	'd': `[\p{Nd}]`,
	'w': `[\p{L}\p{M}\p{Nd}\p{Pc}]`,
}

// translate rewrites a pattern for Go's regexp.
func translate(pattern string) (string, error) {
	var out strings.Builder
	inside := false // of [...]
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; {
		case c == '\\':
			n, err := translateEscape(&out, pattern[i:], inside)
			if err != nil {
				return "", err
			}
			i += n
			continue
		case c == '[' && inside, c == '&' && inside && strings.HasPrefix(pattern[i:], "&&"):
			return "", fmt.Errorf("pattern %.80q: nested classes are not supported", pattern)
		case c == '[':
			inside = true
			if strings.HasPrefix(pattern[i:], "[]") || strings.HasPrefix(pattern[i:], "[^]") {
				return "", fmt.Errorf("pattern %.80q: a class that begins with ] is not supported", pattern)
			}
		case c == ']':
			inside = false
		case !inside && (c == '^' || c == '$'):
			return "", fmt.Errorf("pattern %.80q: %q is not supported", pattern, c)
		case !inside && c == '(' && strings.HasPrefix(pattern[i:], "(?") && !strings.HasPrefix(pattern[i:], "(?:") && !strings.HasPrefix(pattern[i:], "(?i:"):
			return "", fmt.Errorf("pattern %.80q: group %.4q is not supported", pattern, pattern[i:])
		}
		r, n := utf8.DecodeRuneInString(pattern[i:])
		out.WriteRune(r)
		i += n
	}
	return out.String(), nil
}

// translateEscape rewrites the escape at the start of pattern and returns its length.
func translateEscape(out *strings.Builder, pattern string, inside bool) (int, error) {
	unsupported := fmt.Errorf("pattern with the escape %.6q is not supported", pattern)
	if len(pattern) < 2 {
		return 0, unsupported
	}
	c := pattern[1]
	switch {
	case c == 's' || c == 'd' || c == 'w':
		text := classText[c]
		if inside {
			text = text[1 : len(text)-1]
		}
		out.WriteString(text)
		return 2, nil
	case c == 'S' || c == 'D' || c == 'W':
		if inside {
			return 0, unsupported
		}
		out.WriteString("[^" + classText[c|0x20][1:])
		return 2, nil
	case c == 'p' || c == 'P':
		end := strings.IndexByte(pattern, '}')
		if end < 0 || pattern[2] != '{' {
			return 0, unsupported
		}
		out.WriteString(pattern[:end+1])
		return end + 1, nil
	case c == 'A' || c == 'z':
		if inside {
			return 0, unsupported
		}
		out.WriteString(pattern[:2])
		return 2, nil
	case c == 'n' || c == 'r' || c == 't' || c == 'f' || c == 'v', c < utf8.RuneSelf && asciiClass[c] == other:
		out.WriteString(pattern[:2])
		return 2, nil
	}
	return 0, unsupported
}
