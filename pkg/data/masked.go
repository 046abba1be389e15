package data

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
)

// Masking is that of BERT (https://arxiv.org/abs/1810.04805): each token of a text, but not
// of the template, is to be predicted with a probability of 15 %; of those 80 % stand as
// the mask, 10 % as a random token and 10 % as they are. A sequence in which chance takes
// none has one.
type Masking struct {
	Mask  int32 // the token that stands for a hidden one
	Vocab int   // of random tokens
}

var errNoText = errors.New("data: no training text is left, all are empty")

// The probabilities of Masking.
const (
	maskShare   = 0.15
	hiddenShare = 0.8 // of them
	randomShare = 0.1
)

// apply hides tokens of a sequence where `of` is true and makes them targets.
func (m Masking) apply(rng *rand.Rand, ids, targets []int32, of []bool) {
	some, last := false, -1
	for i := range ids {
		targets[i] = -1
		if !of[i] {
			continue
		}
		last = i
		if rng.Float64() < maskShare {
			m.hide(rng, ids, targets, i)
			some = true
		}
	}
	if some || last < 0 {
		return
	}
	for { // few tokens: a place is soon found
		if i := rng.IntN(last + 1); of[i] {
			m.hide(rng, ids, targets, i)
			return
		}
	}
}

func (m Masking) hide(rng *rand.Rand, ids, targets []int32, i int) {
	targets[i] = ids[i]
	switch x := rng.Float64(); {
	case x < hiddenShare:
		ids[i] = m.Mask
	case x < hiddenShare+randomShare:
		ids[i] = rng.Int32N(int32(m.Vocab))
	}
}

// within refuses a position that a pass of so many sequences does not have.
func (c Cursor) within(sequences int) error {
	if c.Index < 0 || c.Index > sequences || c.Epoch < 0 {
		return fmt.Errorf("data: cursor at sequence %d of pass %d, which has %d", c.Index, c.Epoch, sequences)
	}
	return nil
}

// MaskedBatches yields batches of masked texts without end. Each pass takes every text
// once, packed into sequences in an order and masked in places that the seed and the pass
// decide: the cursor says all of it.
type MaskedBatches struct {
	texts          Texts
	masking        Masking
	batch, context int
	at             Cursor
	rows           [][]piece
	out            Batch
	of             []bool
}

// NewMaskedBatches yields batches of `batch` sequences of context tokens, from the cursor on.
func NewMaskedBatches(t Texts, m Masking, batch, context int, at Cursor) (*MaskedBatches, error) {
	b := &MaskedBatches{texts: t, masking: m, batch: batch, context: context, out: newPacked(batch, context), of: make([]bool, context)}
	return b, b.Seek(at)
}

// Documents reports whether sequences are packed of documents: always.
func (b *MaskedBatches) Documents() bool { return true }

// Seek goes to a position that Cursor returned.
func (b *MaskedBatches) Seek(at Cursor) error {
	b.at = at
	if err := b.shuffle(); err != nil {
		return err
	}
	if len(b.rows) == 0 {
		return errNoText
	}
	return at.within(len(b.rows))
}

func (b *MaskedBatches) shuffle() error {
	pieces, err := b.texts.stretches(b.context, true)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(b.at.Seed, uint64(b.at.Epoch)))
	b.rows = pack(pieces, b.context, rng)
	rng.Shuffle(len(b.rows), func(i, j int) { b.rows[i], b.rows[j] = b.rows[j], b.rows[i] })
	return nil
}

// Next is the next batch. It is overwritten by the next call.
func (b *MaskedBatches) Next() (Batch, error) {
	for i := range b.batch {
		if b.at.Index == len(b.rows) {
			b.at.Epoch, b.at.Index = b.at.Epoch+1, 0
			if err := b.shuffle(); err != nil {
				return Batch{}, err
			}
		}
		rng := rand.New(rand.NewPCG(b.at.Seed^maskSeed, uint64(b.at.Epoch)<<32|uint64(b.at.Index)))
		b.row(i, b.rows[b.at.Index], rng)
		b.at.Index++
	}
	return b.out, nil
}

// Cursor is the position after the newest batch.
func (b *MaskedBatches) Cursor() Cursor { return b.at }

// row fills a sequence and masks it.
func (b *MaskedBatches) row(i int, row []piece, rng *rand.Rand) {
	b.texts.fill(&b.out, i, b.context, row, b.of)
	lo, hi := i*b.context, (i+1)*b.context
	b.masking.apply(rng, b.out.IDs[lo:hi], b.out.Targets[lo:hi], b.of)
}

// maskSeed tells masks from orders that come of the same seed.
const maskSeed = 0x6d61736b

// MaskedWindows yields all texts, packed in order, `batch` sequences at a time. The places
// that are masked depend on the texts and the context and on nothing else, so that two
// models are measured on the same ones. At most limit tokens are predicted; 0 is all.
func MaskedWindows(t Texts, m Masking, batch, context, limit int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		pieces, err := t.stretches(context, true)
		if err != nil {
			yield(Batch{}, err)
			return
		}
		rows := pack(pieces, context, nil)
		b := MaskedBatches{texts: t, masking: m, batch: batch, context: context, out: newPacked(batch, context), of: make([]bool, context)}
		predicted := 0
		for at := 0; at < len(rows) && (limit == 0 || predicted < limit); at += batch {
			for i := range batch {
				var row []piece
				if at+i < len(rows) {
					row = rows[at+i]
				}
				b.row(i, row, rand.New(rand.NewPCG(maskSeed, uint64(at+i))))
			}
			predicted += b.out.upTo(limit, predicted)
			if !yield(b.out, nil) {
				return
			}
		}
	}
}

// upTo leaves targets out that a limit (0: none) has no room for behind so many; it
// returns how many are left.
func (b Batch) upTo(limit, behind int) (n int) {
	for i, t := range b.Targets {
		switch {
		case t < 0:
		case limit > 0 && behind+n == limit:
			b.Targets[i] = -1
		default:
			n++
		}
	}
	return n
}

// SampleMasked is n sequences of masked texts, chosen by the seed, all where there are fewer.
func SampleMasked(t Texts, m Masking, n, context int, seed uint64) (Batch, error) {
	b, err := NewMaskedBatches(t, m, 1, context, Cursor{Seed: seed})
	if err != nil {
		return Batch{}, err
	}
	b.batch = min(n, len(b.rows))
	b.out = newPacked(b.batch, context)
	return b.Next()
}
