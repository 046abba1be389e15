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
func Windows(tokens Tokens, batch, context, limit int) iter.Seq2[Batch, error] {
	if tokens.Separate() {
		return packedWindows(tokens, batch, context, limit)
	}
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

func packedWindows(tokens Tokens, batch, context, limit int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		pieces, _ := tokens.pieces(context, limit)
		rows := pack(pieces, context, nil)
		out := newPacked(batch, context)
		out.Documents = make([]int32, batch*context)
		for at := 0; at < len(rows); at += batch {
			for i := range batch {
				var row []piece
				if at+i < len(rows) {
					row = rows[at+i]
				}
				out.fillRow(tokens, i, context, row)
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// Sample is n sequences of context tokens, chosen by the seed, all where there are fewer:
// windows of a stream, or sequences packed of documents.
func (t Tokens) Sample(n, context int, seed uint64) Batch {
	rng := rand.New(rand.NewPCG(seed, 0x63616c))
	if t.Separate() {
		pieces, _ := t.pieces(context, 0)
		rows := pack(pieces, context, rng)
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		rows = rows[:min(n, len(rows))]
		out := newPacked(len(rows), context)
		for i, row := range rows {
			out.fillRow(t, i, context, row)
		}
		return out
	}
	all := max(0, len(t)-1) / context
	out := Batch{N: min(n, all)}
	for _, w := range rng.Perm(all)[:out.N] {
		ids, targets := t.Window(w*context, context)
		out.IDs, out.Targets = append(out.IDs, ids...), append(out.Targets, targets...)
	}
	return out
}
