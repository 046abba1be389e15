package chat

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Encode renders a conversation and encodes the text as one: ids, and for each whether
// it is learned. A token that holds the beginning of a learned span is learned, one
// that reaches over the end of it is not.
func (t *Template) Encode(tok tokenizer.Tokenizer, c Conversation) (ids []int32, learned []bool, err error) {
	text, spans, err := t.Learn(c)
	if err != nil {
		return nil, nil, err
	}
	ids = tok.Encode(nil, []byte(text))
	learned = make([]bool, len(ids))
	at := boundaries(tok, text, ids, spans)
	for i := range spans {
		from, to := at[2*i], at[2*i+1]
		if from > to {
			return nil, nil, fmt.Errorf("%w: a learned span of bytes %d to %d has no token", ErrTemplate, spans[i].From, spans[i].To)
		}
		for k := from; k < to; k++ {
			learned[k] = true
		}
	}
	return ids, learned, nil
}

// boundaries are the numbers of tokens before each bound of the spans.
func boundaries(tok tokenizer.Tokenizer, text string, ids []int32, spans []Span) []int {
	out := make([]int, 0, 2*len(spans))
	ends := offsets(tok, text, ids)
	for _, s := range spans {
		for _, byteAt := range [2]int{s.From, s.To} {
			if ends == nil {
				out = append(out, shared(tok, text[:byteAt], ids))
				continue
			}
			n := 0 // tokens that end at or before it
			if len(out) > 0 {
				n = out[len(out)-1]
			}
			for n < len(ends) && ends[n] <= byteAt {
				n++
			}
			out = append(out, n)
		}
	}
	return out
}

// offsets are where the tokens end in the text, nil where their pieces are not the text.
func offsets(tok tokenizer.Tokenizer, text string, ids []int32) []int {
	ends, at := make([]int, len(ids)), 0
	for i, id := range ids {
		piece, err := tok.Piece(id)
		if err != nil || len(piece) > len(text)-at || string(piece) != text[at:at+len(piece)] {
			return nil
		}
		at += len(piece)
		ends[i] = at
	}
	if at != len(text) {
		return nil
	}
	return ends
}

// shared is how many tokens a beginning of the text has in common with the text.
func shared(tok tokenizer.Tokenizer, beginning string, ids []int32) int {
	n := 0
	for _, id := range tok.Encode(nil, []byte(beginning)) {
		if n == len(ids) || ids[n] != id {
			break
		}
		n++
	}
	return n
}
