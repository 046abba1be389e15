package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Stream decodes ids as they come, behind a text that is there already, holding
// back bytes that are only part of a character.
type Stream struct {
	t    Tokenizer
	held []byte
}

// NewStream makes a stream for t.
func NewStream(t Tokenizer) *Stream { return &Stream{t: t} }

// Next returns the text that id completes.
func (s *Stream) Next(id int32) (string, error) {
	piece, err := s.t.Piece(id)
	if err != nil {
		return "", err
	}
	s.held = append(s.held, piece...)
	n := len(s.held)
	for back := 1; back < utf8.UTFMax && back <= len(s.held); back++ {
		if c := s.held[len(s.held)-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(s.held[len(s.held)-back:]) {
				n = len(s.held) - back
			}
			break
		}
	}
	out := string(s.held[:n])
	s.held = append(s.held[:0], s.held[n:]...)
	return out, nil
}

// Flush returns what is held back at the end: a part of a character, as U+FFFD,
// or nothing.
func (s *Stream) Flush() string {
	out := strings.ToValidUTF8(string(s.held), string(utf8.RuneError))
	s.held = s.held[:0]
	return out
}
