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
	// Of a text on disk that is shuffled without an order in memory: that it is, and of
	// documents the group that is packed and how many sequences of it have been used.
	Large bool `json:"large,omitempty"`
	Group int  `json:"group,omitempty"`
	Row   int  `json:"row,omitempty"`
	// Parts are the cursors of a mixture; Taken is how many sequences one of them has given.
	Parts []Cursor `json:"parts,omitempty"`
	Taken int      `json:"taken,omitempty"`
}

// mostOrdered is how many windows of a stream are shuffled in memory, in 64 MiB. More of
// them, on disk, have an order that is computed.
var mostOrdered = 1 << 24

// Batches yields batches of sequences without end. Each pass over the tokens takes every
// sequence once, in an order that the seed and the pass decide. Of a stream sequences are
// windows of context+1 tokens from an offset (below context); of documents they are
// packed anew in every pass: all at once those in memory, in groups those on disk.
type Batches struct {
	tokens         Encoded
	batch, context int
	separate       bool
	at             Cursor
	offset         int         // of a stream
	windows        int         // of a stream
	order          []int32     // of a stream's windows, or
	computed       permutation // where the cursor is Large; of documents the order of chunks
	rows           [][]piece   // of the documents of a group
	lo, hi         int         // sequences of a batch that are filled
	mixed          *mixing     // of a mixture, instead of all above
	out            Batch
}

// NewBatches yields batches of `batch` sequences of `context` predicted tokens, from
// the cursor on. It fails when a stream does not fill one window, and where nothing is
// predicted.
func NewBatches(tokens Encoded, batch, context int, at Cursor) (*Batches, error) {
	b := &Batches{tokens: tokens, batch: batch, context: context, separate: tokens.Separate(), hi: batch}
	if t, ok := tokens.(Tokens); ok && !t.predictsAny() {
		return nil, fmt.Errorf("data: the training text has %d tokens and none of them counts in the loss", len(t))
	}
	return b, b.Seek(at)
}

// predictsAny reports whether any token is predicted.
func (t Tokens) predictsAny() bool { return len(t) > 1 && t.predicts(0, len(t)-1) }

// Documents reports whether sequences are packed of documents.
func (b *Batches) Documents() bool { return b.separate }

// Deal fills from now on only sequences lo to hi of each batch: those that this process
// computes. Of the others it is counted what they predict.
func (b *Batches) Deal(lo, hi int) {
	if b.lo, b.hi = lo, hi; b.mixed != nil {
		b.mixed.lo, b.mixed.hi = lo, hi
	}
}

// Seek goes to a position that Cursor returned. One of a stream makes a stream of
// documents: runs of before documents were told apart go on as they began.
func (b *Batches) Seek(at Cursor) error {
	if m, ok := b.tokens.(*Mixture); ok {
		mixed, err := newMixing(m, b.batch, b.context, at)
		if err == nil {
			mixed.lo, mixed.hi = b.lo, b.hi
			b.mixed = mixed
		}
		return err
	}
	if at.Parts != nil {
		return fmt.Errorf("data: the run read a mixture of %d parts, and this is one text: the run cannot resume in the middle of it", len(at.Parts))
	}
	shards, onDisk := b.tokens.(*Shards)
	if at.Epoch != 0 || at.Index != 0 {
		if at.Pack == PackDocuments && !b.tokens.Separate() {
			return fmt.Errorf("data: the run packed documents, and the text is a stream now: set data.pack to documents")
		}
		if at.Large && !onDisk {
			return fmt.Errorf("data: the run read its text from shards, and it is in memory now: the run cannot resume in the middle of it")
		}
		b.separate = at.Pack == PackDocuments
	} else {
		at.Large = onDisk && (b.separate || (shards.Len()-1)/b.context > mostOrdered)
	}
	b.at = at
	if !b.separate && b.tokens.Len() < 2*b.context+1 {
		return fmt.Errorf("data: the training text has %d tokens, expected at least %d for a context of %d", b.tokens.Len(), 2*b.context+1, b.context)
	}
	b.at.Pack = ""
	if b.separate {
		b.at.Pack = PackDocuments
	}
	b.out = newPacked(b.batch, b.context)
	if !b.separate {
		b.out.Starts, b.out.Positions = nil, nil
	}
	if err := b.shuffle(); err != nil {
		return err
	}
	if at.Index < 0 || at.Row < 0 || b.used() > b.Sequences() || at.Epoch < 0 || at.Group < 0 {
		return fmt.Errorf("data: cursor at sequence %d of pass %d, which has %d", b.used(), at.Epoch, b.Sequences())
	}
	return nil
}

// Sequences is the number of sequences of the present pass; of documents on disk, of the
// present group.
func (b *Batches) Sequences() int {
	if b.separate {
		return len(b.rows)
	}
	return b.windows
}

// used is how many of Sequences have been used.
func (b *Batches) used() int {
	if b.grouped() {
		return b.at.Row
	}
	return b.at.Index
}

// grouped reports whether documents are packed in groups.
func (b *Batches) grouped() bool { return b.separate && b.at.Large }

// shuffle makes the order of the present pass, or the sequences of the present group.
func (b *Batches) shuffle() error {
	rng := rand.New(rand.NewPCG(b.at.Seed, uint64(b.at.Epoch)))
	if b.grouped() {
		return b.packGroup()
	}
	if b.separate {
		pieces, err := wholePieces(b.tokens, b.context)
		if err != nil {
			return err
		}
		b.shuffleRows(pieces, rng)
		return nil
	}
	b.offset = rng.IntN(b.context)
	b.windows = (b.tokens.Len() - 1 - b.offset) / b.context
	if b.at.Large {
		b.computed = newPermutation(b.windows, b.at.Seed, uint64(b.at.Epoch))
		return nil
	}
	if cap(b.order) < b.windows {
		b.order = make([]int32, b.windows)
	}
	b.order = b.order[:b.windows]
	for i := range b.order {
		b.order[i] = int32(i)
	}
	rng.Shuffle(b.windows, func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
	return nil
}

// packGroup packs the present group of a text on disk.
func (b *Batches) packGroup() error {
	s := b.tokens.(*Shards)
	if b.at.Group >= s.groups() {
		return fmt.Errorf("data: cursor at group %d of a text of %d", b.at.Group, s.groups())
	}
	order := newPermutation(s.chunks(), b.at.Seed, uint64(b.at.Epoch))
	pieces, err := s.shuffled(order, b.at.Group, b.context)
	if err != nil {
		return err
	}
	b.shuffleRows(pieces, rand.New(rand.NewPCG(b.at.Seed^mix(uint64(b.at.Group)+1), uint64(b.at.Epoch))))
	return nil
}

func (b *Batches) shuffleRows(pieces []piece, rng *rand.Rand) {
	b.rows = pack(pieces, b.context, rng)
	rng.Shuffle(len(b.rows), func(i, j int) { b.rows[i], b.rows[j] = b.rows[j], b.rows[i] })
}

// wholePieces are the pieces of all groups in order.
func wholePieces(t Encoded, context int) (all []piece, err error) {
	for g := range t.groups() {
		pieces, _, err := t.pieces(g, context, 0)
		if err != nil {
			return nil, err
		}
		all = append(all, pieces...)
	}
	return all, nil
}

// Next is the next batch. It is overwritten by the next call.
func (b *Batches) Next() (Batch, error) {
	if b.mixed != nil {
		return b.mixed.Next()
	}
	b.out.Whole = 0
	for i := range b.batch {
		if err := b.advance(); err != nil {
			return Batch{}, err
		}
		n, err := b.sequence(i)
		if err != nil {
			return Batch{}, err
		}
		b.out.Whole += n
		b.at.Index++
		if b.grouped() {
			b.at.Row++
		}
	}
	if b.hi-b.lo == b.batch {
		b.out.Whole = 0
	}
	return b.out, nil
}

// advance goes on to the next group, or the next pass, where the present one is at its end.
func (b *Batches) advance() error {
	for tries := 0; b.used() == b.Sequences(); tries++ {
		b.at.Row = 0
		if b.grouped() && b.at.Group+1 < b.tokens.groups() {
			b.at.Group++
		} else {
			b.at.Epoch, b.at.Index, b.at.Group = b.at.Epoch+1, 0, 0
		}
		if tries > b.tokens.groups() {
			return fmt.Errorf("data: the training text has %d tokens and none of them counts in the loss", b.tokens.Len())
		}
		if err := b.shuffle(); err != nil {
			return err
		}
	}
	return nil
}

// sequence fills sequence i of the batch with the one at the cursor, or counts what it
// predicts where another process computes it.
func (b *Batches) sequence(i int) (predicted int, err error) {
	mine := i >= b.lo && i < b.hi
	if b.separate {
		row := b.rows[b.used()]
		if mine {
			err = b.out.fillRow(b.tokens, i, b.context, row)
		} else {
			for _, p := range row {
				n, perr := b.tokens.predicted(p.at, p.n)
				if predicted += n; perr != nil {
					return 0, perr
				}
			}
		}
	} else {
		w := b.at.Index
		if b.at.Large {
			w = b.computed.at(w)
		} else {
			w = int(b.order[w])
		}
		at, row := b.offset+w*b.context, i*b.context
		if !mine {
			return b.tokens.predicted(at, b.context)
		}
		err = fill(b.tokens, b.out.IDs[row:row+b.context], b.out.Targets[row:row+b.context], at)
	}
	if mine && err == nil {
		for _, t := range b.out.Targets[i*b.context:][:b.context] {
			if t >= 0 {
				predicted++
			}
		}
	}
	return predicted, err
}

// Cursor is the position after the newest batch.
func (b *Batches) Cursor() Cursor {
	if b.mixed != nil {
		return b.mixed.cursor()
	}
	return b.at
}
