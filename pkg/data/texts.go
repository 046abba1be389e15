package data

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Texts are texts as an encoder reads them: each document by itself, within the
// tokenizer's template.
type Texts struct {
	ids         []int32 // one text after the other, without the template
	ends        []int   // of the texts in ids
	front, back []int32 // the template
}

// EncodeTexts encodes the documents of a part, each as one text. Ids and chats are no
// texts: an ErrFormat.
func EncodeTexts(t tokenizer.Tokenizer, p Part) (Texts, error) {
	switch {
	case p.Shards != nil:
		return Texts{}, fmt.Errorf("%w: an encoder reads texts, found token ids", ErrFormat)
	case p.Chats():
		return Texts{}, fmt.Errorf("%w: an encoder reads texts, found chats", ErrFormat)
	case p.Prompts != nil:
		return Texts{}, fmt.Errorf("%w: an encoder reads texts, which have no prompts", ErrFormat)
	}
	var out Texts
	out.front, out.back = t.Template()
	for _, d := range p.Documents {
		out.ids = encode(out.ids, t, d)
		if n := len(out.ids); n > out.end(len(out.ends)) {
			out.ends = append(out.ends, n)
		}
	}
	return out, nil
}

// end is where text i begins.
func (t Texts) end(i int) int {
	if i == 0 {
		return 0
	}
	return t.ends[i-1]
}

// Len is the number of texts that are not empty.
func (t Texts) Len() int { return len(t.ends) }

// Tokens is how many tokens they have, without the template.
func (t Texts) Tokens() int { return len(t.ids) }

// Split cuts the last share of the tokens off, between texts.
func (t Texts) Split(share float64) (front, last Texts) {
	n := 0
	for most := float64(len(t.ids)) * (1 - share); n < len(t.ends) && float64(t.ends[n]) <= most; n++ {
	}
	at := t.end(n)
	front, last = t, t
	front.ids, front.ends = t.ids[:at], t.ends[:n]
	last.ids, last.ends = t.ids[at:], nil
	for _, e := range t.ends[n:] {
		last.ends = append(last.ends, e-at)
	}
	return front, last
}

// Longest is the tokens of the longest text, with the template.
func (t Texts) Longest() int {
	n := 0
	for i := range t.ends {
		n = max(n, t.ends[i]-t.end(i))
	}
	return n + len(t.front) + len(t.back)
}

// Below names the first token that a vocabulary of so many ids does not have.
func (t Texts) Below(vocab int) error {
	for _, ids := range [][]int32{t.ids, t.front, t.back} {
		if err := Tokens(ids).Below(vocab); err != nil {
			return err
		}
	}
	return nil
}

// Checksum is the CRC-32C of the tokens and of where texts end.
func (t Texts) Checksum() uint32 {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	var b [4]byte
	at := 0
	for i, id := range t.ids {
		if at < len(t.ends) && i == t.ends[at] {
			id, at = id|begins, at+1
		}
		binary.LittleEndian.PutUint32(b[:], uint32(id))
		h.Write(b[:])
	}
	return h.Sum32()
}

// Sequences is how many sequences of context tokens the texts are packed into; 0 where the
// template leaves no room.
func (t Texts) Sequences(context int) int {
	pieces, err := t.stretches(context, true)
	if err != nil {
		return 0
	}
	return len(pack(pieces, context, nil))
}

// room is how many tokens of a text a sequence of context tokens has.
func (t Texts) room(context int) (int, error) {
	room := context - len(t.front) - len(t.back)
	if room < 1 {
		return 0, fmt.Errorf("data: a sequence of %d tokens has no room beside the %d that the tokenizer's template adds", context, len(t.front)+len(t.back))
	}
	return room, nil
}

// stretches are the texts within the template, cut where they are longer than a sequence:
// whole, or only the first stretch of each.
func (t Texts) stretches(context int, whole bool) ([]piece, error) {
	room, err := t.room(context)
	if err != nil {
		return nil, err
	}
	var out []piece
	for i, hi := range t.ends {
		for at := t.end(i); at < hi; at += room {
			out = append(out, piece{at, min(room, hi-at) + len(t.front) + len(t.back), i})
			if !whole {
				break
			}
		}
	}
	return out, nil
}

// fill writes a sequence of context tokens: stretches one after the other, each within the
// template, then padding. It returns which of the tokens are of a text.
func (t Texts) fill(b *Batch, row, context int, stretches []piece, of []bool) {
	ids, starts, positions := b.IDs[row*context:][:context], b.Starts[row*context:][:context], b.Positions[row*context:][:context]
	at := 0
	for _, p := range stretches {
		text := p.n - len(t.front) - len(t.back)
		n := copy(ids[at:], t.front)
		n += copy(ids[at+n:], t.ids[p.at:p.at+text])
		copy(ids[at+n:], t.back)
		for i := range p.n {
			starts[at+i], positions[at+i] = int32(at), int32(i)
			of[at+i] = i >= len(t.front) && i < len(t.front)+text
		}
		at += p.n
	}
	for ; at < context; at++ {
		ids[at], starts[at], positions[at], of[at] = 0, int32(context), 0, false
	}
}
