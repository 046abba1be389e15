package tokenizer

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before anything else is done.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where it is not part of a word
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space behind it
	Normalized bool   `json:"normalized"`  // looked for in the normalized text
	Special    bool   `json:"special"`
}

// matcher finds added tokens, the leftmost and of those the longest: a trie over bytes.
type matcher struct {
	tokens []addedToken
	nodes  []trieNode
	starts [256]bool // bytes that begin a token
}

type trieNode struct {
	next  map[byte]int32
	token int32 // index into tokens that ends here, or -1
}

// newMatcher makes a matcher of tokens; texts are what is looked for.
func newMatcher(tokens []addedToken, texts [][]byte) (*matcher, error) {
	m := &matcher{tokens: tokens, nodes: []trieNode{{token: -1}}}
	for i, text := range texts {
		if len(text) == 0 {
			return nil, fmt.Errorf("the token of id %d is empty", tokens[i].ID)
		}
		m.starts[text[0]] = true
		at := int32(0)
		for _, b := range text {
			next, ok := m.nodes[at].next[b]
			if !ok {
				next = int32(len(m.nodes))
				m.nodes = append(m.nodes, trieNode{token: -1})
				if m.nodes[at].next == nil {
					m.nodes[at].next = map[byte]int32{}
				}
				m.nodes[at].next[b] = next
			}
			at = next
		}
		m.nodes[at].token = int32(i)
	}
	return m, nil
}

// longest is the longest token that text begins with, or -1, and its length.
func (m *matcher) longest(text []byte) (token, n int) {
	token, at := -1, int32(0)
	for i, b := range text {
		next, ok := m.nodes[at].next[b]
		if !ok {
			break
		}
		if at = next; m.nodes[at].token >= 0 {
			token, n = int(m.nodes[at].token), i+1
		}
	}
	return token, n
}

// each calls section for the text between tokens, first saying that nothing
// stands before it, and found for the tokens, in order.
func (m *matcher) each(text []byte, section func(text []byte, first bool), found func(id int32)) {
	from := 0 // what is before is done
	if len(m.tokens) > 0 {
		for i := 0; i < len(text); {
			if !m.starts[text[i]] {
				i++
				continue
			}
			k, n := m.longest(text[i:])
			if k < 0 {
				i++
				continue
			}
			lo, hi := i, i+n
			i = hi
			t := m.tokens[k]
			if t.SingleWord && (wordEnds(text[:lo]) || wordBegins(text[hi:])) {
				continue
			}
			if t.LStrip {
				for lo > from {
					r, w := utf8.DecodeLastRune(text[from:lo])
					if !unicode.IsSpace(r) {
						break
					}
					lo -= w
				}
			}
			if t.RStrip {
				hi += span(text[hi:], space)
				i = hi
			}
			if lo > from {
				section(text[from:lo], from == 0)
			}
			found(t.ID)
			from = hi
		}
	}
	if from < len(text) {
		section(text[from:], from == 0)
	}
}

func wordBegins(text []byte) bool {
	r, _ := utf8.DecodeRune(text)
	return isWord(r)
}

func wordEnds(text []byte) bool {
	r, _ := utf8.DecodeLastRune(text)
	return isWord(r)
}

// isWord is \w of Unicode's regular expressions (UTS 18, annex C).
func isWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.In(r, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control))
}
