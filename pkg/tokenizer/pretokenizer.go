package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// place says where a text stands that a step of the pipeline is given.
type place uint8

const (
	within    place = iota // somewhere in the text
	beginning              // at the beginning of the text
	continued              // behind a text of the same section that was cut for speed: nothing is put in front
)

// step is one pre-tokenizer.
type step interface {
	// prepare rewrites a text before it is split.
	prepare(text []byte, at place) []byte
	// next finds the first pre-token of text: n bytes behind skip that are dropped.
	// Not both are 0 where text is not empty.
	next(text []byte) (skip, n int)
}

// preTokenizers make the steps of a pre_tokenizer of each type.
var preTokenizers map[string]func(ps *parser, raw json.RawMessage) ([]step, error)

func init() {
	preTokenizers = map[string]func(*parser, json.RawMessage) ([]step, error){
		"Sequence": preSequence, "ByteLevel": preByteLevel, "Split": preSplit, "Metaspace": preMetaspace, "Digits": preDigits,
		"BertPreTokenizer": classStep(bertWord), "Whitespace": classStep(plainWord), "WhitespaceSplit": classStep(blankWord),
		"Punctuation": prePunctuation, "CharDelimiterSplit": preDelimiter,
	}
}

func preSequence(ps *parser, raw json.RawMessage) ([]step, error) {
	var p struct {
		Type          string
		Pretokenizers []json.RawMessage
	}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	var steps []step
	for i, raw := range p.Pretokenizers {
		s, err := component(ps, "pretokenizers", raw, preTokenizers)
		if err != nil {
			return nil, fmt.Errorf("%d of a Sequence: %w", i, err)
		}
		if len(steps) > 0 && isByteLevel(steps) {
			return nil, fmt.Errorf("%d of a Sequence stands behind ByteLevel, which is supported as the last only", i)
		}
		steps = append(steps, s...)
	}
	return steps, nil
}

// isByteLevel reports that the last step turns characters into bytes.
func isByteLevel(steps []step) bool {
	if len(steps) == 0 {
		return false
	}
	_, ok := steps[len(steps)-1].(byteLevelStep)
	return ok
}

// byteLevelStep is ByteLevel: a space in front if asked for, and GPT-2's rule
// if asked for. That the text is bytes from here on is the merger's business.
type byteLevelStep struct{ prefix, split bool }

func preByteLevel(ps *parser, raw json.RawMessage) ([]step, error) {
	p := struct {
		Type           string
		AddPrefixSpace bool `json:"add_prefix_space"`
		TrimOffsets    bool `json:"trim_offsets"` // about offsets, which are not kept
		UseRegex       bool `json:"use_regex"`
	}{UseRegex: true}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	return []step{byteLevelStep{p.AddPrefixSpace, p.UseRegex}}, nil
}

func (s byteLevelStep) prepare(text []byte, at place) []byte {
	if !s.prefix || at == continued || len(text) == 0 || text[0] == ' ' {
		return text
	}
	return append([]byte{' '}, text...)
}

func (s byteLevelStep) next(text []byte) (int, int) {
	if !s.split {
		return 0, len(text)
	}
	return 0, scanGPT2(text)
}

// scanStep is a Split by a pattern that has a scanner.
type scanStep func(text []byte) int

func (scanStep) prepare(text []byte, _ place) []byte { return text }
func (s scanStep) next(text []byte) (int, int)       { return 0, s(text) }

// metaspaceStep writes spaces as another character, with one in front, and may
// split before each.
type metaspaceStep struct {
	mark   []byte
	scheme string
	split  bool
}

func preMetaspace(ps *parser, raw json.RawMessage) ([]step, error) {
	m, err := parseMetaspace(ps, raw)
	if err != nil {
		return nil, err
	}
	return []step{metaspaceStep{[]byte(m.Replacement), m.PrependScheme, *m.Split}}, nil
}

func (s metaspaceStep) prepare(text []byte, at place) []byte {
	text = bytes.ReplaceAll(text, []byte{' '}, s.mark)
	front := at == beginning || at == within && s.scheme == "always"
	if s.scheme == "never" || !front || bytes.HasPrefix(text, s.mark) {
		return text
	}
	return append(append(make([]byte, 0, len(s.mark)+len(text)), s.mark...), text...)
}

func (s metaspaceStep) next(text []byte) (int, int) {
	if !s.split {
		return 0, len(text)
	}
	from := 0
	if bytes.HasPrefix(text, s.mark) {
		from = len(s.mark)
	}
	if n := bytes.Index(text[from:], s.mark); n >= 0 {
		return 0, from + n
	}
	return 0, len(text)
}

// spaceMark is how SentencePiece writes a space, U+2581.
const spaceMark = "▁"

// metaspace is the Metaspace of a pre-tokenizer or decoder.
type metaspace struct {
	Type           string
	Replacement    string
	PrependScheme  string `json:"prepend_scheme"`   // always (default), first or never
	AddPrefixSpace *bool  `json:"add_prefix_space"` // what older files have instead
	StrRep         string `json:"str_rep"`          // replacement again, in older files
	Split          *bool
}

func parseMetaspace(ps *parser, raw json.RawMessage) (metaspace, error) {
	split := true
	m := metaspace{Split: &split}
	if err := ps.read(raw, &m); err != nil {
		return m, err
	}
	if m.Split == nil {
		m.Split = &split
	}
	if m.PrependScheme == "" {
		m.PrependScheme = "always"
		if m.AddPrefixSpace != nil && !*m.AddPrefixSpace {
			m.PrependScheme = "never"
		}
	}
	switch {
	case utf8.RuneCountInString(m.Replacement) != 1:
		return m, fmt.Errorf("replacement is %q, expected a character", m.Replacement)
	case m.StrRep != "" && m.StrRep != m.Replacement:
		return m, fmt.Errorf("str_rep is %q and replacement %q", m.StrRep, m.Replacement)
	case m.PrependScheme != "always" && m.PrependScheme != "first" && m.PrependScheme != "never":
		return m, fmt.Errorf("prepend_scheme is %q, expected always, first or never", m.PrependScheme)
	case m.AddPrefixSpace != nil && !*m.AddPrefixSpace && m.PrependScheme != "never":
		return m, fmt.Errorf("add_prefix_space is false, but prepend_scheme %s", m.PrependScheme)
	}
	return m, nil
}

// digitsStep isolates digits: each, or each run of them.
type digitsStep struct{ single bool }

func preDigits(ps *parser, raw json.RawMessage) ([]step, error) {
	var p struct {
		Type             string
		IndividualDigits bool `json:"individual_digits"`
	}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	return []step{digitsStep{p.IndividualDigits}}, nil
}

func (digitsStep) prepare(text []byte, _ place) []byte { return text }

func (s digitsStep) next(text []byte) (int, int) {
	n := 0
	for first := false; n < len(text); {
		r, w := utf8.DecodeRune(text[n:])
		digit := unicode.IsNumber(r)
		switch {
		case n == 0:
			first = digit
		case digit != first:
			return 0, n
		}
		n += w
		if digit && s.single {
			return 0, n
		}
	}
	return 0, n
}
