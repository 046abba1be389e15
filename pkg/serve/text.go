package serve

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ecospa/ecospa/pkg/infer"
)

// piece is a token of a result as text.
type piece struct {
	infer.Token
	name   string // of the token alone, as log-probabilities name it
	offset int    // code points before it
}

// writer turns the tokens of one choice into text: it holds bytes of an unfinished
// character back, ends at a stop text, and knows where each token begins.
type writer struct {
	m      *Model
	stops  []string
	text   strings.Builder // all whole characters so far, stop texts excluded
	held   []byte          // of a character that is not whole yet
	runes  int             // code points of text
	sent   int             // bytes of text that take has returned
	ended  bool            // by a stop text
	prefix int             // bytes of text in which no stop text is looked for
}

// name is a token's own text: bytes that are no text by themselves are spelt out.
func (m *Model) name(id int32) string {
	b, err := m.Tokenizer.Piece(id)
	if err != nil {
		return fmt.Sprintf("<%d>", id) // a row of the table that no token has
	}
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	s.WriteString("bytes:")
	for _, c := range b {
		fmt.Fprintf(&s, "\\x%02x", c)
	}
	return s.String()
}

// bytesOf is what a token adds to a text: nothing if it is special or no token.
func (m *Model) bytesOf(id int32) []byte {
	if m.special(id) {
		return nil
	}
	b, err := m.Tokenizer.Piece(id)
	if err != nil {
		return nil
	}
	return b
}

// begin puts the prompt in front of the text (echo).
func (w *writer) begin(text string) {
	w.text.WriteString(text)
	w.runes = utf8.RuneCountInString(text)
	w.prefix = len(text)
}

// add takes a token of the result.
func (w *writer) add(t infer.Token) piece {
	p := piece{Token: t, name: w.m.name(t.ID), offset: w.runes}
	if w.ended {
		return p
	}
	if !slices.Contains(w.m.Ends, t.ID) { // what ends a text is no part of it
		w.held = append(w.held, w.m.bytesOf(t.ID)...)
	}
	n := whole(w.held)
	text := strings.ToValidUTF8(string(w.held[:n]), string(utf8.RuneError))
	w.held = append(w.held[:0], w.held[n:]...)
	w.put(text)
	return p
}

// put adds whole characters and looks for a stop text.
func (w *writer) put(s string) {
	from := max(w.prefix, w.text.Len()-max(0, w.longest()-1))
	w.text.WriteString(s)
	w.runes += utf8.RuneCountInString(s)
	tail := w.text.String()[from:]
	cut := -1
	for _, stop := range w.stops {
		if i := strings.Index(tail, stop); i >= 0 && (cut < 0 || i < cut) {
			cut = i
		}
	}
	if cut >= 0 {
		kept := w.text.String()[:from+cut]
		w.text.Reset()
		w.text.WriteString(kept)
		w.runes, w.ended, w.held = utf8.RuneCountInString(kept), true, nil
	}
}

// finish ends the text: what is left of a character becomes U+FFFD.
func (w *writer) finish() {
	if len(w.held) > 0 && !w.ended {
		w.put(strings.ToValidUTF8(string(w.held), string(utf8.RuneError)))
		w.held = nil
	}
}

// take returns the text that is new and certain: the beginning of a possible stop
// text stays until it is clear, all of it at the end.
func (w *writer) take(last bool) string {
	s := w.text.String()
	keep := len(s)
	if !last && !w.ended {
		for _, stop := range w.stops {
			for n := min(len(stop)-1, len(s)-w.sent); n > 0; n-- {
				if strings.HasSuffix(s, stop[:n]) {
					keep = min(keep, len(s)-n)
					break
				}
			}
		}
	}
	if keep <= w.sent {
		return ""
	}
	out := s[w.sent:keep]
	w.sent = keep
	return out
}

func (w *writer) longest() (n int) {
	for _, s := range w.stops {
		n = max(n, len(s))
	}
	return n
}

// whole is the number of bytes of b before a character that is not whole yet.
func whole(b []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		if c := b[len(b)-back]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-back:]) {
				return len(b) - back
			}
			break
		}
	}
	return len(b)
}

// encode is a prompt's ids: of a string as the tokenizer's template says, ids as they are.
func (m *Model) encode(p prompt) []int32 {
	if p.isIDs {
		return p.ids
	}
	front, _ := m.Tokenizer.Template()
	return m.Tokenizer.Encode(append([]int32(nil), front...), []byte(p.text))
}

// spell is a prompt as text, and for each of its ids the code points before it.
func (m *Model) spell(p prompt, ids []int32) (text string, offsets []int) {
	text = p.text
	if p.isIDs {
		var plain []int32
		for _, id := range ids {
			if len(m.bytesOf(id)) > 0 {
				plain = append(plain, id)
			}
		}
		if b, err := m.Tokenizer.Decode(nil, plain); err == nil {
			text = strings.ToValidUTF8(string(b), string(utf8.RuneError))
		}
	}
	drop, bytes, runes := 0, 0, 0
	for _, id := range ids {
		offsets = append(offsets, runes)
		b := m.bytesOf(id)
		if bytes == 0 && len(b) > 0 && b[0] == ' ' && !strings.HasPrefix(text, " ") {
			drop = 1 // a space that the tokenizer puts in front of a text is not part of it
		}
		bytes += len(b)
		for _, c := range b[drop:] {
			if utf8.RuneStart(c) {
				runes++
			}
		}
		drop = 0
	}
	return text, offsets
}

func (m *Model) special(id int32) bool {
	s, ok := m.Tokenizer.(interface{ Special(int32) bool })
	return ok && s.Special(id)
}
