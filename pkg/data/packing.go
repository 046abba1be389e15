package data

import (
	"math/bits"
	"math/rand/v2"
)

// piece is a stretch of a document that fits into a sequence: tokens at to at+n are
// read, and those after each predicted.
type piece struct {
	at, n    int
	document int
}

// Packing says how documents became sequences.
type Packing struct {
	Documents int // in which something is predicted
	Sequences int
	Cut       int // documents whose prompt was too long and lost its beginning
	Learned   int // tokens that are predicted
	Read      int // tokens that are read; the rest of Sequences times the context is padding
	Longest   int // tokens that are read of the longest document
}

// piecing is what documents are cut for: sequences of context tokens, at most limit
// tokens predicted in all; 0 is no limit.
type piecing struct{ context, limit int }

// extent is where a document lies, and what of it is predicted.
type extent struct {
	number, lo, hi int
	first          int  // first token after which one is predicted
	learned        int  // tokens that are predicted
	marked         bool // they do not all follow each other
}

// allPieces are the documents of t, cut where they are longer than a sequence.
func (t Tokens) allPieces(context, limit int) (out []piece, p Packing) {
	for d := (extent{}); d.lo < len(t); d.lo, d.number = d.hi, d.number+1 {
		d.hi = d.lo + 1
		for d.hi < len(t) && !isBegin(t[d.hi]) {
			d.hi++
		}
		out = t.document(out, &p, d, piecing{context, limit})
	}
	return out, p
}

// document appends the pieces of a document. What predicts nothing is left out.
func (t Tokens) document(out []piece, p *Packing, d extent, how piecing) []piece {
	last := -1
	for i := d.lo; i < d.hi && i+1 < len(t); i++ {
		if t[i+1] >= 0 && (how.limit == 0 || p.Learned < how.limit) {
			if last < 0 {
				d.first = i
			}
			last = i
			p.Learned++
		}
	}
	if last < 0 {
		return out
	}
	for _, piece := range p.stretches(d, last, how) {
		if t.predicts(piece.at, piece.n) {
			out = append(out, piece)
			p.Read += piece.n
		}
	}
	return out
}

// stretches cuts a document, in which a token is predicted after token last and none
// after that: first the prompt, from the left, then into stretches that follow each other.
func (p *Packing) stretches(d extent, last int, how piecing) (out []piece) {
	p.Documents++
	p.Longest = max(p.Longest, last+1-d.lo)
	from := d.lo
	if over := last + 1 - d.lo - how.context; over > 0 && d.first > d.lo {
		from = d.lo + min(over, d.first-d.lo)
		p.Cut++
	}
	for ; from <= last; from += how.context {
		out = append(out, piece{from, min(how.context, last+1-from), d.number})
	}
	return out
}

// predicts reports whether anything is predicted in a stretch.
func (t Tokens) predicts(at, n int) bool {
	for _, id := range t[at+1 : at+1+n] {
		if id >= 0 {
			return true
		}
	}
	return false
}

// pack fills sequences of context tokens with pieces, best fit first: each goes, the
// longest first, where it leaves the least room. rng shuffles pieces of one length;
// without it they stay in order. Source: https://arxiv.org/abs/2404.10830.
func pack(pieces []piece, context int, rng *rand.Rand) [][]piece {
	count := make([]int, context+2) // by length, longest first
	for _, p := range pieces {
		count[context-p.n+1]++
	}
	for i := 1; i < len(count); i++ {
		count[i] += count[i-1]
	}
	if rng != nil {
		rng.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	}
	sorted := make([]piece, len(pieces))
	for _, p := range pieces {
		sorted[count[context-p.n]] = p
		count[context-p.n]++
	}
	var rows [][]piece
	rooms := newRooms(context)
	for _, p := range sorted {
		row, room := rooms.take(p.n)
		if row < 0 {
			row, room = len(rows), context
			rows = append(rows, nil)
		}
		rows[row] = append(rows[row], p)
		if room > p.n {
			rooms.put(row, room-p.n)
		}
	}
	return rows
}

// rooms are sequences by what room they have left.
type rooms struct {
	rows [][]int  // by room
	some []uint64 // a bit for each room that has rows
}

func newRooms(most int) *rooms { return &rooms{make([][]int, most+1), make([]uint64, most/64+1)} }

// take removes a sequence with the least room that is enough; -1 when there is none.
func (r *rooms) take(need int) (row, room int) {
	word, mask := need/64, ^uint64(0)<<(need%64)
	for ; word < len(r.some); word, mask = word+1, ^uint64(0) {
		if w := r.some[word] & mask; w != 0 {
			room = 64*word + bits.TrailingZeros64(w)
			l := r.rows[room]
			row, r.rows[room] = l[len(l)-1], l[:len(l)-1]
			if len(l) == 1 {
				r.some[word] &^= 1 << (room % 64)
			}
			return row, room
		}
	}
	return -1, 0
}

func (r *rooms) put(row, room int) {
	r.rows[room] = append(r.rows[room], row)
	r.some[room/64] |= 1 << (room % 64)
}

// fillRow writes a sequence: pieces one after the other, then padding.
func (b *Batch) fillRow(t Encoded, row, context int, pieces []piece) error {
	ids, targets := b.IDs[row*context:][:context], b.Targets[row*context:][:context]
	starts, positions := b.Starts[row*context:][:context], b.Positions[row*context:][:context]
	at := 0
	for _, p := range pieces {
		if err := fill(t, ids[at:at+p.n], targets[at:at+p.n], p.at); err != nil {
			return err
		}
		for i := range p.n {
			starts[at+i], positions[at+i] = int32(at), int32(i)
			if b.Documents != nil {
				b.Documents[row*context+at+i] = int32(p.document)
			}
		}
		at += p.n
	}
	for ; at < context; at++ {
		// Padding sees nothing and is seen by nothing: see kernel.AttentionForward.
		ids[at], targets[at], starts[at], positions[at] = 0, -1, int32(context), 0
	}
	return nil
}

// newPacked is a batch of sequences to be filled.
func newPacked(n, context int) Batch {
	make := func() []int32 { return make([]int32, n*context) }
	return Batch{N: n, IDs: make(), Targets: make(), Starts: make(), Positions: make()}
}
