package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// file is a tokenizer.json. Truncation and padding say how a training program
// called the tokenizer last: nothing here cuts or pads a text, so they are carried
// along and not used.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// fileBPE is the model of byte-pair encoding.
type fileBPE struct {
	Type         string    `json:"type"`
	Dropout      *float64  `json:"dropout"`
	Unk          *string   `json:"unk_token"`
	Prefix       *string   `json:"continuing_subword_prefix"`
	Suffix       *string   `json:"end_of_word_suffix"`
	FuseUnk      bool      `json:"fuse_unk"`
	ByteFallback bool      `json:"byte_fallback"`
	IgnoreMerges bool      `json:"ignore_merges"`
	Vocab        tokenIDs  `json:"vocab"`
	Merges       mergeList `json:"merges"`
}

// fileUnigram is the model of a unigram language model.
type fileUnigram struct {
	Type         string        `json:"type"`
	UnkID        *int          `json:"unk_id"`
	Vocab        []scoredPiece `json:"vocab"` // in the order of the ids
	ByteFallback bool          `json:"byte_fallback"`
}

// fileWordPiece is the model of WordPiece.
type fileWordPiece struct {
	Type     string   `json:"type"`
	Unk      string   `json:"unk_token"`
	Prefix   *string  `json:"continuing_subword_prefix"` // default ##
	MaxChars *int     `json:"max_input_chars_per_word"`  // default 100
	Vocab    tokenIDs `json:"vocab"`
}

// tokenIDs maps tokens to ids; it is written in the order of the ids.
type tokenIDs map[string]int32

// scoredPiece is a piece of a unigram model and the logarithm of its probability:
// a list of two in the file.
type scoredPiece struct {
	Piece string
	Score float64
}

// UnmarshalJSON reads ["piece", score].
func (s *scoredPiece) UnmarshalJSON(text []byte) error {
	two := []any{&s.Piece, &s.Score}
	if err := json.Unmarshal(text, &two); err != nil {
		return fmt.Errorf("vocab entry %.40s: %w", text, err)
	}
	if len(two) != 2 {
		return fmt.Errorf("vocab entry %.40s, expected [piece, score]", text)
	}
	return nil
}

// MarshalJSON writes ["piece", score].
func (s scoredPiece) MarshalJSON() ([]byte, error) {
	score, err := json.Marshal(s.Score)
	return append(append(append(quote([]byte{'['}, s.Piece), ','), score...), ']'), err
}

// mergeList is pairs of tokens in the order of their ranks.
type mergeList [][2]string

// UnmarshalJSON reads "a b" strings, or the newer ["a", "b"] lists.
func (m *mergeList) UnmarshalJSON(text []byte) error {
	var lists [][]string
	if json.Unmarshal(text, &lists) == nil {
		for i, l := range lists {
			if len(l) != 2 {
				return fmt.Errorf("merge %d has %d parts, expected 2", i, len(l))
			}
			*m = append(*m, [2]string{l[0], l[1]})
		}
		return nil
	}
	var lines []string
	if err := json.Unmarshal(text, &lines); err != nil {
		return fmt.Errorf("merges: %w", err)
	}
	for i, l := range lines {
		a, b, ok := strings.Cut(l, " ")
		if !ok || strings.Contains(b, " ") {
			return fmt.Errorf("merge %d is %q, expected two tokens with a space between", i, l)
		}
		*m = append(*m, [2]string{a, b})
	}
	return nil
}
