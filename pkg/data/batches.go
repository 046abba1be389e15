package data

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// Cursor is a position in a sequence of batches: all that a resumed run needs.
type Cursor struct {
	Seed  uint64 `json:"seed"`
	Epoch int    `json:"epoch"` // passes over the tokens that are complete
	Index int    `json:"index"` // windows of this pass that have been used
}

// Batches yields batches of windows of context+1 tokens without end. Each pass
// over the tokens takes every window once, in an order and from an offset
// (below context) that the seed and the pass decide.
type Batches struct {
	tokens         Tokens
	batch, context int
	at             Cursor
	offset         int
	order          []int32
	ids, targets   []int32
}

// NewBatches yields batches of `batch` windows of `context` predicted tokens, from
// the cursor on. It fails when the tokens do not fill one window.
func NewBatches(tokens Tokens, batch, context int, at Cursor) (*Batches, error) {
	if len(tokens) < 2*context+1 {
		return nil, fmt.Errorf("data: the training text has %d tokens, expected at least %d for a context of %d", len(tokens), 2*context+1, context)
	}
	b := &Batches{
		tokens: tokens, batch: batch, context: context,
		ids: make([]int32, batch*context), targets: make([]int32, batch*context),
	}
	return b, b.Seek(at)
}

// Seek goes to a position that Cursor returned.
func (b *Batches) Seek(at Cursor) error {
	b.at = at
	b.shuffle()
	if at.Index < 0 || at.Index > len(b.order) || at.Epoch < 0 {
		return fmt.Errorf("data: cursor at window %d of pass %d, which has %d", at.Index, at.Epoch, len(b.order))
	}
	return nil
}

// shuffle makes the order of the present pass.
func (b *Batches) shuffle() {
	rng := rand.New(rand.NewPCG(b.at.Seed, uint64(b.at.Epoch)))
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

// Next is the next batch of windows. It is overwritten by the next call.
func (b *Batches) Next() (Batch, error) {
	for i := range b.batch {
		if b.at.Index == len(b.order) {
			b.at.Epoch, b.at.Index = b.at.Epoch+1, 0
			b.shuffle()
		}
		lo := b.offset + int(b.order[b.at.Index])*b.context
		b.at.Index++
		row := i * b.context
		b.tokens.fill(b.ids[row:row+b.context], b.targets[row:row+b.context], lo)
	}
	return Batch{N: b.batch, IDs: b.ids, Targets: b.targets}, nil
}

// Cursor is the position behind the newest batch.
func (b *Batches) Cursor() Cursor { return b.at }

// Windows yields batches of windows of context+1 tokens
// with stride context, in order: every token but the first is predicted exactly
// once. What is left over at the end is filled up with ignored targets (-1). At
// most limit tokens are predicted; 0 is all.
func Windows(tokens Tokens, batch, context, limit int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		end := len(tokens) - 1
		if limit > 0 {
			end = min(end, limit)
		}
		ids, targets := make([]int32, batch*context), make([]int32, batch*context)
		for at := 0; at < end; at += batch * context {
			n := min(len(ids), end-at)
			tokens.fill(ids[:n], targets[:n], at)
			for i := n; i < len(ids); i++ {
				ids[i], targets[i] = 0, -1
			}
			if !yield(Batch{N: batch, IDs: ids, Targets: targets}, nil) {
				return
			}
		}
	}
}
