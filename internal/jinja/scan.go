package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// segment is a piece of a template: text, or what stands in a tag.
type segment struct {
	kind byte // 't' text, '{' an expression to print, '%' a statement
	text string
	line int
}

// scanner divides a template into segments.
type scanner struct {
	rest         string
	line         int
	lineStarting bool // what was read last ended a line
	out          []segment
}

// scan divides source as Jinja2 does with trim_blocks and lstrip_blocks.
func scan(source string) ([]segment, error) {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	s := &scanner{rest: strings.TrimSuffix(source, "\n"), line: 1, lineStarting: true}
	for s.rest != "" {
		at, kind := s.tag()
		if at < 0 {
			s.text(s.rest)
			break
		}
		if err := s.one(at, kind); err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
	}
	return s.out, nil
}

// tag is where the next tag begins, and its kind.
func (s *scanner) tag() (int, byte) {
	for i := 0; i+1 < len(s.rest); i++ {
		if c := s.rest[i+1]; s.rest[i] == '{' && (c == '{' || c == '%' || c == '#') {
			return i, c
		}
	}
	return -1, 0
}

func (s *scanner) text(t string) {
	if t != "" {
		s.out = append(s.out, segment{'t', t, s.line})
	}
}

// skip moves over n bytes.
func (s *scanner) skip(n int) {
	s.line += strings.Count(s.rest[:n], "\n")
	s.rest = s.rest[n:]
}

// before is the text in front of a tag, without what the tag strips.
func (s *scanner) before(at int, kind byte) string {
	text, sign := s.rest[:at], byte(0)
	if at+2 < len(s.rest) {
		sign = s.rest[at+2]
	}
	switch {
	case sign == '-':
		return strings.TrimRight(text, " \t\n\r\f\v")
	case sign == '+' || kind == '{':
		return text
	}
	from := strings.LastIndexByte(text, '\n') + 1
	if (from > 0 || s.lineStarting) && strings.Trim(text[from:], " \t\f\v") == "" {
		return text[:from]
	}
	return text
}

// one reads the text before a tag and the tag.
func (s *scanner) one(at int, kind byte) error {
	text := s.before(at, kind)
	s.text(text)
	s.lineStarting = strings.HasSuffix(s.rest[:at], "\n") || at == 0 && s.lineStarting
	s.skip(at)
	end := map[byte]string{'{': "}}", '%': "%}", '#': "#}"}[kind]
	n := tagEnd(s.rest, kind, end)
	if n < 0 {
		return fmt.Errorf("a tag %.2s without its %s", s.rest, end)
	}
	inner, line := s.rest[2:n], s.line
	s.skip(n + 2)
	sign := byte(0)
	if len(inner) > 0 {
		if sign = inner[len(inner)-1]; sign == '-' || sign == '+' && kind != '{' {
			inner = inner[:len(inner)-1]
		}
	}
	if len(inner) > 0 && (inner[0] == '-' || inner[0] == '+' && kind != '{') {
		inner = inner[1:]
	}
	if kind == '%' && strings.TrimSpace(inner) == "raw" {
		s.after(sign, '{') // the line end behind it is text
		return s.raw()
	}
	s.after(sign, kind)
	if kind == '#' {
		return nil
	}
	s.out = append(s.out, segment{kind, inner, line})
	return nil
}

// after strips what a tag strips behind it.
func (s *scanner) after(sign, kind byte) {
	s.lineStarting = false
	switch {
	case sign == '-':
		n := len(s.rest) - len(strings.TrimLeft(s.rest, " \t\n\r\f\v"))
		s.lineStarting = n > 0 && s.rest[n-1] == '\n'
		s.skip(n)
	case kind != '{' && sign != '+' && strings.HasPrefix(s.rest, "\n"):
		s.skip(1)
		s.lineStarting = true
	}
}

// raw reads text up to {% endraw %}.
func (s *scanner) raw() error {
	for from := 0; ; {
		i := strings.Index(s.rest[from:], "{%")
		if i < 0 {
			return errors.New("raw without endraw")
		}
		at := from + i
		n := strings.Index(s.rest[at:], "%}")
		if n < 0 {
			return errors.New("raw without endraw")
		}
		inner := s.rest[at+2 : at+n]
		if strings.Trim(inner, "-+ \t\n") != "endraw" {
			from = at + 2
			continue
		}
		s.text(s.before(at, '%'))
		s.skip(at + n + 2)
		s.after(inner[len(inner)-1], '%')
		return nil
	}
}

// tagEnd is where the end of a tag stands, outside of strings.
func tagEnd(s string, kind byte, end string) int {
	if kind == '#' {
		if n := strings.Index(s[2:], end); n >= 0 {
			return n + 2
		}
		return -1
	}
	depth := 0
	for i := 2; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"':
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '{', '[', '(':
			depth++
		default:
			if strings.HasPrefix(s[i:], end) && (kind == '%' || depth == 0) {
				return i
			}
			if c == '}' || c == ']' || c == ')' {
				depth--
			}
		}
	}
	return -1
}
