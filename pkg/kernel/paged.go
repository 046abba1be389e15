package kernel

import "math"

// A paged key/value cache of one layer is two slices of pages, k [pages, G, P, QK]
// and v [pages, G, P, VO]: a page holds P tokens of one sequence, and a sequence's
// pages may lie anywhere. The rows of one K/V head of a page are adjacent, so that
// decoding reads memory in streams, in the pruned widths. Keys are kept rotated.

// Span is a stretch of rows that are tokens of one sequence, one after the other.
type Span struct {
	Row, N int     // first row, number of rows
	Pos    int     // tokens of the sequence before the first row
	Pages  []int32 // pages of the sequence, at least to hold Pos+N tokens
}

type pagedArgs struct {
	p        *Pool
	k, v     []float32
	qkv, ctx []float32
	s        AttnShape
	page     int // tokens of a page
	spans    []Span
	tile     int       // tokens of a query tile
	heads    int       // K/V heads that a worker takes at a time of a span whose keys are in one piece
	parts    []float32 // of spans whose keys are cut in parts: see pagedPart
	own      []float32 // worker 0's scratch: the rest of its is parts
}

const badCache = "kernel: position outside the key/value cache"

func (a *pagedArgs) check() {
	s := &a.s
	s.check()
	need(a.qkv, s.B*s.T*s.Width())
	for _, sp := range a.spans {
		if sp.N < 1 || sp.Row < 0 || sp.Row+sp.N > s.B*s.T || sp.Pos < 0 || len(sp.Pages)*a.page < sp.Pos+sp.N {
			panic(badCache)
		}
		for _, id := range sp.Pages {
			if id < 0 || (int(id)+1)*s.G*a.page*s.QK > len(a.k) || (int(id)+1)*s.G*a.page*s.VO > len(a.v) {
				panic(badCache)
			}
		}
	}
}

// pagedAppendLoop writes the keys and values of the spans that pagedLoop does not write.
var pagedAppendLoop = newLoop(func(a *pagedArgs, _, chunk int) {
	if sp := &a.spans[chunk]; !a.whole(sp) {
		for g := range a.s.G {
			a.append(sp, g)
		}
	}
})

// append writes the k and v parts of a span's rows of qkv into its pages, those of one K/V head.
func (a *pagedArgs) append(sp *Span, g int) {
	s := &a.s
	for i := range sp.N {
		row := a.qkv[(sp.Row+i)*s.Width():]
		t := sp.Pos + i
		at := (int(sp.Pages[t/a.page])*s.G+g)*a.page + t%a.page
		copy(a.k[at*s.QK:][:s.QK], row[s.kCol(g):])
		copy(a.v[at*s.VO:][:s.VO], row[s.vCol(g):])
	}
}

// PagedAttention writes the k and v parts of the spans' rows of qkv [B·T, Width] into their pages, of page
// tokens each, and is causal attention of these rows over their pages: the row at position t of its sequence
// sees tokens 0..t, its own included; with a Window the last Window of these. ctx is [B·T, G·R·VO];
// rows of no span are left as they are. What a row gets does not depend on the other
// spans. No gradient.
func PagedAttention(p *Pool, ctx, qkv, k, v []float32, s AttnShape, page int, spans []Span) {
	if !s.Causal {
		panic(badShape)
	}
	a := pagedArgs{p: p, k: k, v: v, qkv: qkv, ctx: ctx, s: s, page: page, spans: spans, tile: max(1, attnRows/s.R)}
	a.check()
	need(ctx, s.B*s.T*s.G*s.R*s.VO)
	chunks, parts, rows, apart := 0, 0, 0, 0
	a.heads = max(1, min(mostHeads, len(spans)*s.G/(bandsPerWorker*p.threads)))
	for i := range spans {
		chunks += a.chunks(&spans[i])
		if !a.whole(&spans[i]) {
			apart++
		}
		parts += a.partsOf(&spans[i])
		rows = max(rows, min(spans[i].N, a.tile)*s.R)
	}
	f := flashTile{bounds: bounds{&a.s, nil, 0}, rows: rows, wide: roomy(s.VO)}
	a.own = p.Scratch(0, parts+f.size())
	a.parts, a.own = cut(a.own, parts)
	if apart > 0 {
		pagedAppendLoop.run(p, len(spans), a)
	}
	pagedLoop.run(p, chunks, a)
	if parts > 0 {
		joinLoop.run(p, len(spans)*s.G, a)
	}
}

// mostHeads is how many K/V heads of a span a worker takes at a time at most.
const mostHeads = 4

// whole reports whether a span has few queries and its keys are in one piece: who takes a head writes its new keys and
// values first.
func (a *pagedArgs) whole(sp *Span) bool { return a.few(sp) && a.pieces(sp) == 1 }

// chunks is how many chunks of pagedLoop a span is.
func (a *pagedArgs) chunks(sp *Span) int {
	if a.whole(sp) {
		return ceil(a.s.G, a.heads)
	}
	return a.pieces(sp) * a.s.G
}

// Each chunk is one piece of one K/V head of one span, or some heads of a whole span.
var pagedLoop = newLoop(func(a *pagedArgs, worker, chunk int) {
	i, parts := 0, a.parts
	n := a.chunks(&a.spans[0])
	for chunk >= n {
		parts = parts[a.partsOf(&a.spans[i]):]
		chunk -= n
		i++
		n = a.chunks(&a.spans[i])
	}
	sp := &a.spans[i]
	if a.whole(sp) {
		for g := chunk * a.heads; g < min((chunk+1)*a.heads, a.s.G); g++ {
			a.append(sp, g)
			a.head(sp, worker, g, 0, nil)
		}
		return
	}
	a.head(sp, worker, chunk%a.s.G, chunk/a.s.G, parts)
})

// head does a piece of a K/V head of a span; parts are those of the span and of the spans after it.
func (a *pagedArgs) head(sp *Span, worker, g, piece int, parts []float32) {
	f := flashTile{bounds: bounds{&a.s, nil, sp.Pos + sp.N}, t: &a.p.lanes[worker].block, wide: a.s.VO}
	if !a.few(sp) {
		f.wide = roomy(a.s.VO)
		t0 := piece * a.tile
		f.t0, f.rows = sp.Pos+t0, min(a.tile, sp.N-t0)*a.s.R
		f.each = f.rows
		buf := a.queries(&f, worker, sp, g)
		a.read(&f, sp, g, f.first(f.t0)/a.page*a.page, buf)
		a.write(&f, sp, g)
		return
	}
	f.t0, f.rows = sp.Pos, sp.N*a.s.R
	buf := a.queries(&f, worker, sp, g)
	first, part := a.keys(sp)
	first += piece * part
	f.total = min(f.total, first+part)
	if a.partsOf(sp) == 0 {
		a.read(&f, sp, g, first, buf)
		a.write(&f, sp, g)
		return
	}
	size := a.partSize(sp)
	f.state, f.o = cut(parts[(g*a.pieces(sp)+piece)*size:][:size], 2*f.rows)
	freshSoftmax(f.state)
	a.read(&f, sp, g, first, buf)
}

// queries takes a tile's rows of a K/V head of a span, for scores of base 2.
func (a *pagedArgs) queries(f *flashTile, worker int, sp *Span, g int) (buf []float32) {
	s, row := &a.s, sp.Row+f.t0-sp.Pos
	if buf = a.own; worker > 0 {
		buf = a.p.Scratch(worker, f.size())
	}
	buf = f.cut(buf)
	current.vecOps.gather(f.q, a.qkv[row*s.Width()+s.qCol(g, 0):], f.rows/s.R, s.R*s.QK, s.R*s.QK, s.Width())
	current.vecOps.affine(f.q, f.q, s.Scale*math.Log2E, 0)
	freshSoftmax(f.state)
	return buf
}

// read takes the keys from first on that a tile may see, to the end of its last row or
// of its part, page by page.
func (a *pagedArgs) read(f *flashTile, sp *Span, g, first int, buf []float32) {
	s, end := &a.s, min(f.total, f.t0+f.rows/a.s.R)
	for k0 := first; k0 < end; k0 += a.page {
		at, n := (int(sp.Pages[k0/a.page])*s.G+g)*a.page, min(a.page, end-k0)
		if f.rows <= maxPanel {
			f.few(a.k[at*s.QK:], a.v[at*s.VO:], k0, n, k0 > first, buf)
			continue
		}
		k := headRows{Rows: Rows{F32: a.k}, first: (at - k0) * s.QK, stride: s.QK}
		v := headRows{Rows: Rows{F32: a.v}, first: (at - k0) * s.VO, stride: s.VO}
		f.keys(&k, &v, 0, 0, k0, n, buf)
	}
}

// few takes n keys from k0 into a tile of few rows: keys and values lie side by side
// and are read once. add says whether the tile has seen keys before.
func (f *flashTile) few(keys, values []float32, k0, n int, add bool, buf []float32) {
	s := f.s
	for i := range f.rows {
		current.vecOps.dots(buf[i*attnStride:][:n], f.q[i*s.QK:][:s.QK], keys, s.QK)
	}
	f.cap(buf, f.rows, n)
	f.hide(buf, f.t0, 0, f.rows, k0, n)
	vo := s.VO
	if !add {
		vo = 0 // no context yet
	}
	current.vecOps.softmax(buf, f.o, f.state, n, attnStride, vo)
	if f.rows > 1 {
		mulBlock(f.t, f.o, s.VO, buf, attnStride, 1, values, s.VO, f.rows, n, s.VO, add) // (rows, VO)
	} else { // one row takes the values as they lie, in one stream
		if !add {
			clear(f.o)
		}
		current.vecOps.weigh(f.o, buf[:n], values, s.VO)
	}
}

// write writes the contexts of a tile's rows.
func (a *pagedArgs) write(f *flashTile, sp *Span, g int) {
	for i := range f.rows {
		current.vecOps.affine(a.context(sp, g, (f.t0-sp.Pos)*a.s.R+i), f.o[i*f.wide:], 1/f.state[2*i+1], 0)
	}
}

// context is where row i, of tokens and heads, of a K/V head of a span goes.
func (a *pagedArgs) context(sp *Span, g, i int) []float32 {
	s := &a.s
	return a.ctx[(((sp.Row+i/s.R)*s.G+g)*s.R+i%s.R)*s.VO:][:s.VO]
}
