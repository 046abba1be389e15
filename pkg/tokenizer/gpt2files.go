package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// convertGPT2 makes a tokenizer.json of GPT-2's files: a vocab.json, the
// merges.txt beside it, and an added_tokens.json where there is one.
func convertGPT2(dir fs.FS, vocabulary []byte) ([]byte, error) {
	var v tokenIDs
	if err := json.Unmarshal(vocabulary, &v); err != nil {
		return nil, fmt.Errorf("expected an object of tokens and ids: %w", err)
	}
	text, err := readBounded(dir, "merges.txt")
	if err != nil {
		return nil, err
	}
	m, err := parseMerges(string(text))
	if err != nil {
		return nil, fmt.Errorf("merges.txt: %w", err)
	}
	var added []addedToken
	if id, ok := v[EndOfText]; ok {
		added = append(added, addedToken{ID: id, Content: EndOfText, Normalized: true, Special: true})
	}
	switch text, err := readBounded(dir, "added_tokens.json"); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		var more tokenIDs
		if err := json.Unmarshal(text, &more); err != nil {
			return nil, fmt.Errorf("added_tokens.json: %w", err)
		}
		for s, id := range more {
			if s != EndOfText {
				added = append(added, addedToken{ID: id, Content: s})
			}
		}
	}
	return write(byteLevelFile(v, m, added))
}

// parseMerges reads lines of two tokens. The first may be a comment that begins
// with "#version".
func parseMerges(text string) (mergeList, error) {
	m := mergeList{}
	line := 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimRight(l, "\r\n")
		if l == "" || line == 1 && strings.HasPrefix(l, "#version") {
			continue
		}
		a, b, ok := strings.Cut(l, " ")
		if !ok || a == "" || b == "" || strings.Contains(b, " ") {
			return nil, fmt.Errorf("line %d is %.80q, expected two tokens with a space between", line, l)
		}
		m = append(m, [2]string{a, b})
	}
	return m, nil
}
