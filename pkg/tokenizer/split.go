package tokenizer

import (
	"encoding/json"
	"fmt"
)

// splitStep is a Split by a pattern without a scanner. Its behaviours are those
// of Hugging Face's SplitDelimiterBehavior.
type splitStep struct {
	find     finder
	behavior string
	invert   bool // matches are what is kept, the rest are the delimiters
}

func preSplit(ps *parser, raw json.RawMessage) ([]step, error) {
	var p struct {
		Type    string
		Pattern struct {
			String *string
			Regex  *string
		}
		Behavior string
		Invert   bool
	}
	if err := ps.read(raw, &p); err != nil {
		return nil, err
	}
	if err := checkBehavior(p.Behavior); err != nil {
		return nil, err
	}
	s := splitStep{behavior: p.Behavior, invert: p.Invert}
	switch {
	case p.Pattern.String != nil && p.Pattern.Regex == nil && *p.Pattern.String != "":
		s.find = findLiteral(*p.Pattern.String)
	case p.Pattern.Regex != nil && p.Pattern.String == nil:
		if scan, ok := scanners[*p.Pattern.Regex]; ok && (p.Behavior == "Isolated" || p.Behavior == "Removed" && p.Invert) {
			return []step{scanStep(scan)}, nil
		}
		var err error
		if s.find, err = findRegex(*p.Pattern.Regex); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("pattern holds neither a String nor a Regex")
	}
	return []step{s}, nil
}

func checkBehavior(b string) error {
	switch b {
	case "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
		return nil
	}
	return fmt.Errorf("behavior is %q, expected Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous", b)
}

func (splitStep) prepare(text []byte, _ place) []byte { return text }

// cut is the first part of text, and whether it is a delimiter.
func (s splitStep) cut(text []byte) (n int, delimiter bool) {
	lo, hi := s.find(text)
	switch {
	case lo < 0:
		return len(text), s.invert
	case lo > 0:
		return lo, s.invert
	}
	return hi, !s.invert
}

func (s splitStep) next(text []byte) (skip, n int) {
	n, delimiter := s.cut(text)
	switch s.behavior {
	case "Removed":
		if delimiter {
			return n, 0
		}
	case "Contiguous":
		for n < len(text) {
			more, d := s.cut(text[n:])
			if d != delimiter {
				break
			}
			n += more
		}
	case "MergedWithPrevious":
		if !delimiter && n < len(text) {
			more, _ := s.cut(text[n:])
			n += more
		}
	case "MergedWithNext":
		if delimiter && n < len(text) {
			if more, d := s.cut(text[n:]); !d {
				n += more
			}
		}
	}
	return 0, n
}
