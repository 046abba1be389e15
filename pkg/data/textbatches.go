package data

import (
	"iter"
	"math/rand/v2"
)

// TextBatches yields batches with one text a sequence, from its beginning as far as it
// fits, without end. Each pass takes every text once, in an order that the seed and the
// pass decide. Targets are 0 for each text.
type TextBatches struct {
	texts          Texts
	batch, context int
	at             Cursor
	rows           []piece
	out            Batch
	of             []bool
}

// NewTextBatches yields batches of `batch` sequences of context tokens, from the cursor on.
func NewTextBatches(t Texts, batch, context int, at Cursor) (*TextBatches, error) {
	b := newTextBatches(t, batch, context)
	return b, b.Seek(at)
}

func newTextBatches(t Texts, batch, context int) *TextBatches {
	b := &TextBatches{texts: t, batch: batch, context: context, out: newPacked(batch, context), of: make([]bool, context)}
	b.out.Targets = make([]int32, batch)
	return b
}

// Documents reports whether sequences are packed of documents: always.
func (b *TextBatches) Documents() bool { return true }

// Seek goes to a position that Cursor returned.
func (b *TextBatches) Seek(at Cursor) (err error) {
	b.at = at
	if b.rows, err = b.texts.stretches(b.context, false); err != nil {
		return err
	}
	if len(b.rows) == 0 {
		return errNoText
	}
	b.shuffle()
	return at.within(len(b.rows))
}

// shuffle makes the order of the present pass from that of the texts.
func (b *TextBatches) shuffle() {
	rng := rand.New(rand.NewPCG(b.at.Seed, uint64(b.at.Epoch)))
	b.rows, _ = b.texts.stretches(b.context, false) // it had room when Seek asked
	rng.Shuffle(len(b.rows), func(i, j int) { b.rows[i], b.rows[j] = b.rows[j], b.rows[i] })
}

// Next is the next batch. It is overwritten by the next call.
func (b *TextBatches) Next() (Batch, error) {
	for i := range b.batch {
		if b.at.Index == len(b.rows) {
			b.at.Epoch, b.at.Index = b.at.Epoch+1, 0
			b.shuffle()
		}
		b.texts.fill(&b.out, i, b.context, b.rows[b.at.Index:][:1], b.of)
		b.at.Index++
	}
	return b.out, nil
}

// Cursor is the position after the newest batch.
func (b *TextBatches) Cursor() Cursor { return b.at }

// TextWindows yields the texts in order, one a sequence, `batch` sequences at a time; what
// is left over at the end is filled up with texts of padding, whose target is -1. It ends
// with the text by which limit tokens are read; 0 is all.
func TextWindows(t Texts, batch, context, limit int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		rows, err := t.stretches(context, false)
		if err != nil {
			yield(Batch{}, err)
			return
		}
		for n, read := 0, 0; limit > 0 && n < len(rows); n++ {
			if read += rows[n].n; read >= limit {
				rows = rows[:n+1]
			}
		}
		b := newTextBatches(t, batch, context)
		for ; len(rows) > 0; rows = rows[min(batch, len(rows)):] {
			for i := range batch {
				var row []piece
				b.out.Targets[i] = -1
				if i < len(rows) {
					row, b.out.Targets[i] = rows[i:i+1], 0
				}
				t.fill(&b.out, i, context, row, b.of)
			}
			if !yield(b.out, nil) {
				return
			}
		}
	}
}

// SampleTexts is n texts, chosen by the seed, all where there are fewer.
func SampleTexts(t Texts, n, context int, seed uint64) (Batch, error) {
	b, err := NewTextBatches(t, 1, context, Cursor{Seed: seed})
	if err != nil {
		return Batch{}, err
	}
	b.batch = min(n, len(b.rows))
	b.out = newPacked(b.batch, context)
	b.out.Targets = make([]int32, b.batch)
	return b.Next()
}
