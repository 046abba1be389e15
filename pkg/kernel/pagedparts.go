package kernel

import "math"

// Few queries over many keys wait for memory, and a model may have fewer K/V heads than
// there are workers: the keys are shared out in parts, whose softmaxes are joined after.

// splitKeys is the number of keys of a part when there are few queries: reading
// the cache is all the work then, and it is shared out by keys.
const splitKeys = 512

// few reports whether a span has few queries, so that its pieces are parts of its keys.
func (a *pagedArgs) few(sp *Span) bool { return sp.N*a.s.R <= maxPanel }

// keys is the first key that a span sees, or one before it, at the beginning of a page,
// and the number of keys of a part, whole pages.
func (a *pagedArgs) keys(sp *Span) (first, part int) {
	b := bounds{s: &a.s}
	return b.first(sp.Pos) / a.page * a.page, max(1, splitKeys/a.page) * a.page
}

// pieces is how many pieces of work a K/V head of a span is: parts of its keys, or tiles of
// its queries.
func (a *pagedArgs) pieces(sp *Span) int {
	if !a.few(sp) {
		return ceil(sp.N, a.tile)
	}
	first, part := a.keys(sp)
	return ceil(sp.Pos+sp.N-first, part)
}

// partsOf is the number of values that a span's parts take; 0 where it is one piece.
func (a *pagedArgs) partsOf(sp *Span) int {
	if n := a.pieces(sp); a.few(sp) && n > 1 {
		return n * a.s.G * a.partSize(sp)
	}
	return 0
}

// partSize is the values of a part: peak and sum of each row, and the sum's context.
func (a *pagedArgs) partSize(sp *Span) int { return sp.N * a.s.R * (a.s.VO + 2) }

// joinLoop adds up the parts of one K/V head of one span under their common peak.
var joinLoop = newLoop(func(a *pagedArgs, _, chunk int) {
	parts, sp, g := a.parts, &a.spans[chunk/a.s.G], chunk%a.s.G
	for i := range a.spans[:chunk/a.s.G] {
		parts = parts[a.partsOf(&a.spans[i]):]
	}
	if a.partsOf(sp) == 0 {
		return
	}
	n, size, rows := a.pieces(sp), a.partSize(sp), sp.N*a.s.R
	parts = parts[g*n*size:][:n*size]
	for i := range rows {
		peak := float32(math.Inf(-1))
		for p := 0; p < len(parts); p += size {
			peak = max(peak, parts[p+2*i])
		}
		ctx := a.context(sp, g, i)
		clear(ctx)
		var sum float32
		for p := 0; p < len(parts); p += size {
			state, o := parts[p+2*i:][:2], parts[p+2*rows+i*a.s.VO:][:a.s.VO]
			if state[0] < masked/2 {
				continue // no key of this part is seen
			}
			f := float32(math.Exp2(float64(state[0] - peak)))
			sum += f * state[1]
			for j, v := range o {
				ctx[j] += f * v
			}
		}
		current.vecOps.affine(ctx, ctx, 1/sum, 0)
	}
})
