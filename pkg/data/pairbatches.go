package data

import (
	"errors"
	"iter"
	"math/rand/v2"
)

// PairBatches yields batches of pairs without end: sequences lie two and two, in the first
// the documents with the chosen answers of some pairs, in the second, from the same columns
// on, those with the rejected ones. Each pass takes every pair once, in an order that the
// seed and the pass decide.
type PairBatches struct {
	pairs          *Pairs
	batch, context int
	at             Cursor
	rows           [][]piece // of two sequences each
	out            Batch
}

// NewPairBatches yields batches of `batch` sequences, an even number, of context tokens, from
// the cursor on. The pairs must fit (Pairs.Fit).
func NewPairBatches(p *Pairs, batch, context int, at Cursor) (*PairBatches, error) {
	if p.Len() == 0 {
		return nil, errors.New("data: no pair of answers is left to learn from")
	}
	if batch%2 != 0 {
		return nil, errors.New("data: a batch of pairs has an even number of sequences")
	}
	b := &PairBatches{pairs: p, batch: batch, context: context, out: newPairs(batch, context)}
	return b, b.Seek(at)
}

// newPairs is a batch of pairs to be filled.
func newPairs(n, context int) Batch {
	b := newPacked(n, context)
	b.Pairs, b.Reference, b.Documents = make([]int32, n*context), make([]float32, n*context), make([]int32, n*context)
	return b
}

// Documents reports whether sequences are packed of documents: always.
func (b *PairBatches) Documents() bool { return true }

// Seek goes to a position that Cursor returned.
func (b *PairBatches) Seek(at Cursor) error {
	b.at = at
	b.shuffle()
	return at.within(len(b.rows))
}

func (b *PairBatches) shuffle() {
	rng := rand.New(rand.NewPCG(b.at.Seed, uint64(b.at.Epoch)))
	b.rows = pack(b.pairs.pieces(), b.context, rng)
	rng.Shuffle(len(b.rows), func(i, j int) { b.rows[i], b.rows[j] = b.rows[j], b.rows[i] })
}

// Next is the next batch. It is overwritten by the next call.
func (b *PairBatches) Next() (Batch, error) {
	for two := range b.batch / 2 {
		if b.at.Index == len(b.rows) {
			b.at.Epoch, b.at.Index = b.at.Epoch+1, 0
			b.shuffle()
		}
		b.pairs.fill(&b.out, two, b.context, b.rows[b.at.Index])
		b.at.Index++
	}
	return b.out, nil
}

// Cursor is the position after the newest batch.
func (b *PairBatches) Cursor() Cursor { return b.at }

// pieces are the pairs, as long as the longer of their documents.
func (p *Pairs) pieces() []piece {
	out := make([]piece, p.Len())
	for i := range out {
		out[i] = piece{n: max(len(p.document(2*i)), len(p.document(2*i+1))) - 1, document: i}
	}
	return out
}

// Packing says how the pairs are packed into sequences of context tokens.
func (p *Pairs) Packing(context int) Packing {
	out := Packing{Documents: p.Len(), Sequences: 2 * len(pack(p.pieces(), context, nil)), Cut: p.Shortened, Learned: p.tokens.Predicted()}
	for d := range p.ends {
		n := len(p.document(d)) - 1
		out.Read, out.Longest = out.Read+n, max(out.Longest, n)
	}
	return out
}

// fill writes two sequences.
func (p *Pairs) fill(b *Batch, two, context int, row []piece) {
	for side := range 2 {
		lo := (2*two + side) * context
		for i := lo; i < lo+context; i++ { // padding: see fillRow
			b.IDs[i], b.Targets[i], b.Starts[i], b.Positions[i], b.Pairs[i], b.Reference[i], b.Documents[i] = 0, -1, int32(context), 0, -1, 0, 0
		}
		at := 0
		for _, piece := range row {
			d := 2*piece.document + side
			tokens := p.document(d)
			n := len(tokens) - 1
			tokens.fill(b.IDs[lo+at:][:n], b.Targets[lo+at:][:n], 0)
			for i := range n {
				k := lo + at + i
				b.Starts[k], b.Positions[k], b.Documents[k] = int32(at), int32(i), int32(d)
				if b.Targets[k] >= 0 {
					b.Pairs[k] = int32(at)
				}
			}
			if p.Reference != nil {
				b.Reference[lo+at] = float32(p.Reference[d])
			}
			for i := n; i < piece.n; i++ { // the other side is longer: a document of which nothing counts
				b.Starts[lo+at+i], b.Positions[lo+at+i] = int32(at+n), int32(i-n)
			}
			at += piece.n
		}
	}
}

// PairWindows yields the pairs in order, packed, `batch` sequences at a time, an even number;
// what is left over at the end is padding. It ends with the pair by which limit tokens are
// predicted; 0 is all.
func PairWindows(p *Pairs, batch, context, limit int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		pieces, learned := p.pieces(), 0
		for i := 0; limit > 0 && i < len(pieces); i++ {
			if learned += p.document(2*i).Predicted() + p.document(2*i+1).Predicted(); learned >= limit {
				pieces = pieces[:i+1]
			}
		}
		rows := pack(pieces, context, nil)
		out := newPairs(batch, context)
		for ; len(rows) > 0; rows = rows[min(batch/2, len(rows)):] {
			for two := range batch / 2 {
				var row []piece
				if two < len(rows) {
					row = rows[two]
				}
				p.fill(&out, two, context, row)
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}
