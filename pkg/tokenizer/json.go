package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrFormat is returned when a file is no tokenizer, or one of a kind that is
// not supported; the message names the field.
var ErrFormat = errors.New("tokenizer: unsupported tokenizer.json")

// byteLetters are the printable characters by which Hugging Face files spell
// bytes: those that are printable in Latin-1 stand for themselves, the others
// for characters from U+0100 on.
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

var letterBytes = func() map[rune]byte {
	m := map[rune]byte{}
	for b, s := range byteLetters {
		m[[]rune(s)[0]] = byte(b)
	}
	return m
}()

// spell writes bytes in the letters of the file.
func spell(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteString(byteLetters[c])
	}
	return s.String()
}

// unspell is the inverse of spell.
func unspell(s string) ([]byte, error) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		c, ok := letterBytes[r]
		if !ok {
			return nil, fmt.Errorf("%w: token %q has %q, which spells no byte", ErrFormat, s, r)
		}
		b = append(b, c)
	}
	return b, nil
}

// file is the part of a tokenizer.json that is read and written.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  *byteLevel      `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       *byteLevel      `json:"decoder"`
	Model         fileModel       `json:"model"`
}

type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type byteLevel struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	TrimOffsets    bool   `json:"trim_offsets"`
	UseRegex       *bool  `json:"use_regex,omitempty"`
}

type fileModel struct {
	Type         string            `json:"type"`
	Dropout      *float64          `json:"dropout"`
	Unk          *string           `json:"unk_token"`
	Prefix       *string           `json:"continuing_subword_prefix"`
	Suffix       *string           `json:"end_of_word_suffix"`
	FuseUnk      bool              `json:"fuse_unk"`
	ByteFallback bool              `json:"byte_fallback"`
	IgnoreMerges bool              `json:"ignore_merges"`
	Vocab        map[string]int32  `json:"vocab"`
	Merges       []json.RawMessage `json:"merges"`
}

// writeJSON makes a tokenizer.json of spelled tokens, merges (pairs of ids) and
// special tokens.
func writeJSON(tokens []string, merges []pair, special map[string]int32) ([]byte, error) {
	yes := true
	bl := &byteLevel{Type: "ByteLevel", TrimOffsets: true, UseRegex: &yes}
	null := json.RawMessage("null")
	f := file{
		Version: "1.0", Truncation: null, Padding: null, Normalizer: null, PostProcessor: null,
		AddedTokens: []addedToken{}, PreTokenizer: bl, Decoder: bl,
		Model: fileModel{Type: "BPE", Vocab: map[string]int32{}, Merges: []json.RawMessage{}},
	}
	for id, s := range tokens {
		if at, ok := special[s]; ok {
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: at, Content: s, Special: true})
		}
		f.Model.Vocab[s] = int32(id)
	}
	for _, p := range merges {
		line, err := json.Marshal(tokens[p.a] + " " + tokens[p.b])
		if err != nil {
			return nil, err
		}
		f.Model.Merges = append(f.Model.Merges, line)
	}
	return json.MarshalIndent(f, "", " ")
}

// JSON implements Tokenizer.
func (t *BPE) JSON() ([]byte, error) {
	tokens := make([]string, len(t.tokens))
	for id, b := range t.tokens {
		tokens[id] = spell(b)
		if at, ok := t.special[string(b)]; ok && at == int32(id) {
			tokens[id] = string(b)
		}
	}
	merges := make([]pair, len(t.merges))
	for p, m := range t.merges {
		merges[m.rank] = p
	}
	return writeJSON(tokens, merges, t.special)
}

// Parse opens the content of a tokenizer.json. Byte-level BPE is supported;
// anything else is refused by the name of its field.
func Parse(text []byte) (Tokenizer, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	m := f.Model
	isNull := func(r json.RawMessage) bool { return len(r) == 0 || string(r) == "null" }
	switch {
	case m.Type != "BPE":
		return nil, fmt.Errorf("%w: model.type is %q, expected BPE", ErrFormat, m.Type)
	case f.PreTokenizer == nil || f.PreTokenizer.Type != "ByteLevel":
		return nil, fmt.Errorf("%w: pre_tokenizer is not ByteLevel", ErrFormat)
	case f.PreTokenizer.AddPrefixSpace || f.PreTokenizer.UseRegex != nil && !*f.PreTokenizer.UseRegex:
		return nil, fmt.Errorf("%w: pre_tokenizer with add_prefix_space or without use_regex", ErrFormat)
	case !isNull(f.Normalizer):
		return nil, fmt.Errorf("%w: normalizer %.60s", ErrFormat, f.Normalizer)
	case m.ByteFallback || m.IgnoreMerges || m.Prefix != nil && *m.Prefix != "" || m.Suffix != nil && *m.Suffix != "":
		return nil, fmt.Errorf("%w: model with byte_fallback, ignore_merges or affixes", ErrFormat)
	}
	special := map[string]int32{}
	size := len(m.Vocab)
	for _, a := range f.AddedTokens {
		special[a.Content] = a.ID
		if _, ok := m.Vocab[a.Content]; !ok {
			size++
		}
	}
	tokens := make([][]byte, size)
	set := func(s string, id int32, b []byte) error {
		if id < 0 || int(id) >= size || tokens[id] != nil {
			return fmt.Errorf("%w: token %q has id %d, which is taken or not below %d", ErrFormat, s, id, size)
		}
		tokens[id] = b
		return nil
	}
	for s, id := range m.Vocab {
		b := []byte(s)
		if at, ok := special[s]; !ok || at != id {
			var err error
			if b, err = unspell(s); err != nil {
				return nil, err
			}
		}
		if err := set(s, id, b); err != nil {
			return nil, err
		}
	}
	for s, id := range special {
		if _, ok := m.Vocab[s]; !ok {
			if err := set(s, id, []byte(s)); err != nil {
				return nil, err
			}
		}
	}
	merges, err := parseMerges(m)
	if err != nil {
		return nil, err
	}
	if size == 256 && len(merges) == 0 && len(special) == 0 && isIdentity(tokens) {
		return Bytes{}, nil
	}
	return newBPE(tokens, merges, special)
}

func isIdentity(tokens [][]byte) bool {
	for i, b := range tokens {
		if len(b) != 1 || int(b[0]) != i {
			return false
		}
	}
	return true
}

// parseMerges reads "a b" strings, or the newer ["a", "b"] lists.
func parseMerges(m fileModel) ([]pair, error) {
	merges := make([]pair, len(m.Merges))
	for i, raw := range m.Merges {
		var line string
		var two []string
		if json.Unmarshal(raw, &line) == nil {
			two = strings.Split(line, " ")
		} else if err := json.Unmarshal(raw, &two); err != nil {
			return nil, fmt.Errorf("%w: merge %d: %w", ErrFormat, i, err)
		}
		if len(two) != 2 {
			return nil, fmt.Errorf("%w: merge %d has %d parts, expected 2", ErrFormat, i, len(two))
		}
		a, okA := m.Vocab[two[0]]
		b, okB := m.Vocab[two[1]]
		if !okA || !okB {
			return nil, fmt.Errorf("%w: merge %d of %q and %q: one is no token", ErrFormat, i, two[0], two[1])
		}
		merges[i] = pair{a, b}
	}
	return merges, nil
}
