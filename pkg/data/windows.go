package data

import (
	"iter"
	"math/rand/v2"
)

// Windows yields batches in order, in which every token that is to be predicted is so
// exactly once: of a stream windows of context+1 tokens with stride context (all but its
// first token), of documents sequences that are packed of them, documents longer than
// context in windows of their own. What is left over at the end is filled up with ignored
// targets (-1). At most limit tokens are predicted; 0 is all.
func Windows(tokens Encoded, batch, context, limit int) iter.Seq2[Batch, error] {
	if tokens.Separate() {
		return packedWindows(tokens, batch, context, limit)
	}
	return func(yield func(Batch, error) bool) {
		end := tokens.Len() - 1
		if limit > 0 {
			end = min(end, limit)
		}
		ids, targets := make([]int32, batch*context), make([]int32, batch*context)
		for at := 0; at < end; at += batch * context {
			n := min(len(ids), end-at)
			err := fill(tokens, ids[:n], targets[:n], at)
			for i := n; i < len(ids); i++ {
				ids[i], targets[i] = 0, -1
			}
			if !yield(Batch{N: batch, IDs: ids, Targets: targets}, err) || err != nil {
				return
			}
		}
	}
}

func packedWindows(tokens Encoded, batch, context, limit int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		out := newPacked(batch, context)
		out.Documents = make([]int32, batch*context)
		var rows [][]piece
		left := limit
		for g, last := 0, false; !last && g < tokens.groups(); g++ {
			pieces, p, err := tokens.pieces(g, context, left)
			if err != nil {
				yield(Batch{}, err)
				return
			}
			rows = append(rows, pack(pieces, context, nil)...)
			last = g+1 == tokens.groups()
			if limit > 0 {
				left -= p.Learned
				last = last || left <= 0
			}
			for len(rows) >= batch || last && len(rows) > 0 {
				n := min(batch, len(rows))
				if err := out.fillRows(tokens, context, rows[:n]); !yield(out, err) || err != nil {
					return
				}
				rows = rows[n:]
			}
		}
	}
}

// fillRows fills all sequences of a batch, those without pieces with padding.
func (b *Batch) fillRows(t Encoded, context int, rows [][]piece) error {
	for i := range b.N {
		var row []piece
		if i < len(rows) {
			row = rows[i]
		}
		if err := b.fillRow(t, i, context, row); err != nil {
			return err
		}
	}
	return nil
}

// Sample is n sequences of context tokens, chosen by the seed, all where there are fewer:
// windows of a stream, or sequences packed of documents.
func Sample(t Encoded, n, context int, seed uint64) (Batch, error) {
	rng := rand.New(rand.NewPCG(seed, 0x63616c))
	if t.Separate() {
		return samplePacked(t, n, context, rng)
	}
	all := max(0, t.Len()-1) / context
	out := Batch{N: min(n, all)}
	out.IDs, out.Targets = make([]int32, out.N*context), make([]int32, out.N*context)
	var chosen []int
	if all <= mostOrdered {
		chosen = rng.Perm(all)[:out.N]
	} else {
		order := newPermutation(all, rng.Uint64(), 0)
		for i := range out.N {
			chosen = append(chosen, order.at(i))
		}
	}
	for i, w := range chosen {
		row := i * context
		if err := fill(t, out.IDs[row:row+context], out.Targets[row:row+context], w*context); err != nil {
			return Batch{}, err
		}
	}
	return out, nil
}

// samplePacked is Sample of documents: of groups of them in an order that rng decides, as
// many as are needed.
func samplePacked(t Encoded, n, context int, rng *rand.Rand) (Batch, error) {
	var rows [][]piece
	groups := []int{0}
	if t.groups() > 1 {
		groups = rng.Perm(t.groups())
	}
	for _, g := range groups {
		pieces, _, err := t.pieces(g, context, 0)
		if err != nil {
			return Batch{}, err
		}
		packed := pack(pieces, context, rng)
		rng.Shuffle(len(packed), func(i, j int) { packed[i], packed[j] = packed[j], packed[i] })
		if rows = append(rows, packed...); len(rows) >= n {
			break
		}
	}
	rows = rows[:min(n, len(rows))]
	out := newPacked(len(rows), context)
	return out, out.fillRows(t, context, rows)
}
