package data

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Pairs are prompts with two answers each, encoded: documents 2i, whose answer is the
// chosen one, and 2i+1, whose answer is the rejected one. Answers are what is predicted.
type Pairs struct {
	tokens Tokens
	ends   []int // of the documents in tokens
	// Reference is the log-likelihood of each document's answer under the reference, nats;
	// nil where nobody has measured it.
	Reference []float64
	Shortened int // pairs that lost the beginning of their prompt, or the end of an answer
	Dropped   int // pairs of which nothing to compare was left, or longer than they may be
}

// readPairs appends the pairs of a file. A pair of the same answers is skipped.
func (p *Part) readPairs(f *os.File, s source, r Reader) error {
	if r.Plain || r.Tokens != nil {
		return errors.New("it holds no records, expected pairs of a chosen and a rejected answer (.jsonl, .json, .parquet, .csv)")
	}
	return r.Read(f, nil, func(rec Record) error {
		pair, err := chat.ParsePair(rec.Values[0])
		if err != nil {
			return fmt.Errorf("%s: %w", rec.Place, err)
		}
		if pair.Same() {
			p.Skipped++
			return nil
		}
		p.chats, p.pairs = true, true
		return p.put(rec.Values[0], nil, s.path+": "+rec.Place)
	})
}

// EncodePairs renders both conversations of each pair with the part's template.
func EncodePairs(t tokenizer.Tokenizer, p Part) (*Pairs, error) {
	if !p.pairs && len(p.Documents) > 0 || p.Shards != nil {
		return nil, fmt.Errorf("%w: it holds no pairs of a chosen and a rejected answer", ErrFormat)
	}
	out := &Pairs{}
	for i, record := range p.Documents {
		pair, err := chat.ParsePair(record)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, p.places[i], err)
		}
		for _, c := range []chat.Conversation{pair.Chosen, pair.Rejected} {
			template := *p.Template
			template.Now = func() time.Time { return chatDate }
			ids, learned, err := template.Encode(t, c)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrFormat, p.places[i], err)
			}
			out.add(chatTokens(ids, learned))
		}
	}
	return out, nil
}

// chatTokens marks what of a conversation is not predicted, and its beginning.
func chatTokens(ids []int32, learned []bool) Tokens {
	for k, id := range ids {
		if k == 0 || !learned[k] { // nothing leads to the first
			id = ^id
		}
		if k == 0 {
			id ^= begins
		}
		ids[k] = id
	}
	return ids
}

func (p *Pairs) add(document Tokens) {
	p.tokens = append(p.tokens, document...)
	p.ends = append(p.ends, len(p.tokens))
}

// Len is the number of pairs.
func (p *Pairs) Len() int { return len(p.ends) / 2 }

// document is the tokens of document d.
func (p *Pairs) document(d int) Tokens {
	lo := 0
	if d > 0 {
		lo = p.ends[d-1]
	}
	return p.tokens[lo:p.ends[d]]
}

// Chosen are the documents with the chosen answers.
func (p *Pairs) Chosen() (out Tokens) {
	for i := range p.Len() {
		out = append(out, p.document(2*i)...)
	}
	return out
}

// Examples are the documents of the first n pairs.
func (p *Pairs) Examples(n int) []Example { return p.tokens.Examples(2*n, 0) }

// Below names the first token that a vocabulary of so many ids does not have.
func (p *Pairs) Below(vocab int) error { return p.tokens.Below(vocab) }

// Checksum tells pairs apart; Sum does so beyond doubt, with where documents begin.
func (p *Pairs) Checksum() uint32 { return p.tokens.Checksum() }

// Sum is the SHA-256 of all documents.
func (p *Pairs) Sum() [sha256.Size]byte {
	h, b := sha256.New(), make([]byte, 0, 1<<16)
	for _, id := range p.tokens {
		if b = binary.LittleEndian.AppendUint32(b, uint32(id)); len(b) == cap(b) {
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(b)
	return [sha256.Size]byte(h.Sum(nil))
}

// Fit is the pairs for sequences of context tokens. A document longer than `most` tokens, at
// most context, makes its pair too long: it is dropped, or else both lose as much of the
// beginning of the prompt, and what is longer still the end of its answer.
func (p *Pairs) Fit(context, most int, drop bool) *Pairs {
	if most == 0 || most > context {
		most = context
	}
	out := &Pairs{}
	for i := range p.Len() {
		both := [2]Tokens{p.document(2 * i), p.document(2*i + 1)}
		over := max(len(both[0]), len(both[1])) - 1 - most
		if over > 0 {
			both = shortened(both, over, most)
		}
		if over > 0 && drop || !both[0].answers() || !both[1].answers() {
			out.Dropped++
			continue
		}
		if over > 0 {
			out.Shortened++
		}
		out.add(both[0])
		out.add(both[1])
	}
	return out
}

// shortened is two documents that are over tokens longer than most.
func shortened(both [2]Tokens, over, most int) [2]Tokens {
	prompt := len(both[0])
	for _, d := range both { // what both have before the first answer, one token stays
		prompt = min(prompt, slices.IndexFunc(d, func(id int32) bool { return id >= 0 })-1)
	}
	cut := max(0, min(over, prompt))
	for i, d := range both {
		d = slices.Clone(d[cut:])
		if cut > 0 {
			d[0] ^= begins
		}
		both[i] = d[:min(len(d), most+1)]
	}
	return both
}

// answers reports whether anything of a document is predicted.
func (t Tokens) answers() bool { return slices.ContainsFunc(t, func(id int32) bool { return id >= 0 }) }
