package tokenizer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// convertGPT2 makes a tokenizer.json of GPT-2's files: a vocab.json and the merges.txt
// beside it. The tokenizer_class of a tokenizer_config.json says how texts are split.
func convertGPT2(dir fs.FS, vocabulary []byte) (*file, tokenIDs, error) {
	var v tokenIDs
	if err := json.Unmarshal(vocabulary, &v); err != nil {
		return nil, nil, fmt.Errorf("expected an object of tokens and ids: %w", err)
	}
	text, err := readBounded(dir, "merges.txt")
	if err != nil {
		return nil, nil, err
	}
	m, err := parseMerges(string(text))
	if err != nil {
		return nil, nil, fmt.Errorf("merges.txt: %w", err)
	}
	var added []addedToken
	if id, ok := v[EndOfText]; ok {
		added = append(added, addedToken{ID: id, Content: EndOfText, Normalized: true, Special: true})
	}
	f := byteLevelFile(v, m, added)
	var s struct {
		Class string `json:"tokenizer_class"`
	}
	if err := readJSON(dir, settingsName, &s); err != nil {
		return nil, nil, err
	}
	class := strings.TrimSuffix(s.Class, "Fast")
	if at := slices.IndexFunc(families, func(f family) bool { return f.class != "" && f.class == class }); at >= 0 {
		f.split(families[at])
	}
	return f, v, nil
}

// split makes texts be normalized and split as a family has it.
func (f *file) split(as family) {
	f.PreTokenizer = as.preTokenizer()
	if as.composed {
		f.Normalizer = []byte(`{"type":"NFC"}`)
	}
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
