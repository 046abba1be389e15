package tokenizer

import (
	"bytes"
	"encoding/json"
	"sort"
	"strings"
)

var null = json.RawMessage("null")

// byteLevelFile is the tokenizer.json of a byte-level BPE as GPT-2 has it.
func byteLevelFile(v tokenIDs, m mergeList, added []addedToken) *file {
	level := json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`)
	return &file{
		Version: "1.0", Truncation: null, Padding: null, Normalizer: null, PostProcessor: null,
		AddedTokens: added, PreTokenizer: level, Decoder: level, Model: rawJSON(fileBPE{Type: "BPE", Vocab: v, Merges: m}),
	}
}

// rawJSON encodes a value that always has an encoding.
func rawJSON(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return null
	}
	return b.Bytes()
}

// write makes the text of a tokenizer.json.
func write(f *file) ([]byte, error) {
	if f.AddedTokens == nil {
		f.AddedTokens = []addedToken{}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(f)
	return out.Bytes(), err
}

// MarshalJSON writes the tokens in the order of their ids.
func (v tokenIDs) MarshalJSON() ([]byte, error) {
	tokens := make([]string, 0, len(v))
	for s := range v {
		tokens = append(tokens, s)
	}
	sort.Slice(tokens, func(i, j int) bool { return v[tokens[i]] < v[tokens[j]] })
	out := []byte{'{'}
	for i, s := range tokens {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(quote(out, s), ':')
		id, err := json.Marshal(v[s])
		if err != nil {
			return nil, err
		}
		out = append(out, id...)
	}
	return append(out, '}'), nil
}

// quote appends a JSON string.
func quote(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil { // a string always has an encoding
		return append(dst, `""`...)
	}
	return append(dst, bytes.TrimRight(b.Bytes(), "\n")...)
}

// MarshalJSON writes "a b" strings, which every reader takes, or lists where a
// token holds a space.
func (m mergeList) MarshalJSON() ([]byte, error) {
	lines := true
	for _, two := range m {
		lines = lines && !strings.Contains(two[0]+two[1], " ")
	}
	out := []byte{'['}
	for i, two := range m {
		if i > 0 {
			out = append(out, ',')
		}
		if lines {
			out = quote(out, two[0]+" "+two[1])
			continue
		}
		out = append(quote(append(out, '['), two[0]), ',')
		out = append(quote(out, two[1]), ']')
	}
	return append(out, ']'), nil
}
