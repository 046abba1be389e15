package data

import (
	"fmt"
	"math/rand/v2"
)

// Cursor is a position in a sequence of batches: all that a resumed run needs.
type Cursor struct {
	Seed  uint64 `json:"seed"`
	Epoch int    `json:"epoch"`          // passes over the tokens that are complete
	Index int    `json:"index"`          // sequences of this pass that have been used
	Pack  string `json:"pack,omitempty"` // PackDocuments; "" for a stream
}

// Batches yields batches of sequences without end. Each pass over the tokens takes every
// sequence once, in an order that the seed and the pass decide. Of a stream sequences are
// windows of context+1 tokens from an offset (below context); of documents they are
// packed anew in every pass.
type Batches struct {
	tokens         Tokens
	batch, context int
	separate       bool
	at             Cursor
	offset         int       // of a stream
	order          []int32   // of a stream's windows
	rows           [][]piece // of documents
	out            Batch
}

// NewBatches yields batches of `batch` sequences of `context` predicted tokens, from
// the cursor on. It fails when a stream does not fill one window, and where nothing is
// predicted.
func NewBatches(tokens Tokens, batch, context int, at Cursor) (*Batches, error) {
	b := &Batches{tokens: tokens, batch: batch, context: context, separate: tokens.Separate()}
	if !tokens.predictsAny() {
		return nil, fmt.Errorf("data: the training text has %d tokens and none of them is to be predicted", len(tokens))
	}
	return b, b.Seek(at)
}

// predictsAny reports whether any token is predicted.
func (t Tokens) predictsAny() bool { return len(t) > 1 && t.predicts(0, len(t)-1) }

// Documents reports whether sequences are packed of documents.
func (b *Batches) Documents() bool { return b.separate }

// Seek goes to a position that Cursor returned. One of a stream makes a stream of
// documents: runs of before documents were told apart go on as they began.
func (b *Batches) Seek(at Cursor) error {
	if at.Epoch != 0 || at.Index != 0 {
		if at.Pack == PackDocuments && !b.tokens.Separate() {
			return fmt.Errorf("data: the run was packed of documents, and the text is a stream now: set data.pack to documents")
		}
		b.separate = at.Pack == PackDocuments
	}
	b.at = at
	if !b.separate && len(b.tokens) < 2*b.context+1 {
		return fmt.Errorf("data: the training text has %d tokens, expected at least %d for a context of %d", len(b.tokens), 2*b.context+1, b.context)
	}
	b.at.Pack = ""
	if b.separate {
		b.at.Pack = PackDocuments
	}
	b.out = newPacked(b.batch, b.context)
	if !b.separate {
		b.out.Starts, b.out.Positions = nil, nil
	}
	b.shuffle()
	if at.Index < 0 || at.Index > b.Sequences() || at.Epoch < 0 {
		return fmt.Errorf("data: cursor at sequence %d of pass %d, which has %d", at.Index, at.Epoch, b.Sequences())
	}
	return nil
}

// Sequences is the number of sequences of the present pass.
func (b *Batches) Sequences() int {
	if b.separate {
		return len(b.rows)
	}
	return len(b.order)
}

// shuffle makes the order of the present pass.
func (b *Batches) shuffle() {
	rng := rand.New(rand.NewPCG(b.at.Seed, uint64(b.at.Epoch)))
	if b.separate {
		pieces, _ := b.tokens.pieces(b.context, 0)
		b.rows = pack(pieces, b.context, rng)
		rng.Shuffle(len(b.rows), func(i, j int) { b.rows[i], b.rows[j] = b.rows[j], b.rows[i] })
		return
	}
	b.offset = rng.IntN(b.context)
	n := (len(b.tokens) - 1 - b.offset) / b.context
	if cap(b.order) < n {
		b.order = make([]int32, n)
	}
	b.order = b.order[:n]
	for i := range b.order {
		b.order[i] = int32(i)
	}
	rng.Shuffle(n, func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
}

// Next is the next batch. It is overwritten by the next call.
func (b *Batches) Next() (Batch, error) {
	for i := range b.batch {
		if b.at.Index == b.Sequences() {
			b.at.Epoch, b.at.Index = b.at.Epoch+1, 0
			b.shuffle()
		}
		if b.separate {
			b.out.fillRow(b.tokens, i, b.context, b.rows[b.at.Index])
		} else {
			lo := b.offset + int(b.order[b.at.Index])*b.context
			row := i * b.context
			b.tokens.fill(b.out.IDs[row:row+b.context], b.out.Targets[row:row+b.context], lo)
		}
		b.at.Index++
	}
	return b.out, nil
}

// Cursor is the position after the newest batch.
func (b *Batches) Cursor() Cursor { return b.at }
