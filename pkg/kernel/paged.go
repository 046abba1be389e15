package kernel

import "math"

// A paged key/value cache of one layer is two slices of pages, k [pages, G, P, QK]
// and v [pages, G, P, VO]: a page holds P tokens of one sequence, and a sequence's
// pages may lie anywhere. Keys are kept rotated.

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
	first    []int // chunks before each span
	tile     int   // tokens of a query tile
}

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

// PagedAppend copies the k and v parts of the spans' rows of qkv [B·T, Width] into
// their pages, of page tokens each.
func PagedAppend(p *Pool, k, v, qkv []float32, s AttnShape, page int, spans []Span) {
	a := pagedArgs{k: k, v: v, qkv: qkv, s: s, page: page, spans: spans}
	a.check()
	pagedCopyLoop.run(p, len(spans), a)
}

var pagedCopyLoop = newLoop(func(a *pagedArgs, _, chunk int) {
	s, sp := &a.s, &a.spans[chunk]
	for i := range sp.N {
		row := a.qkv[(sp.Row+i)*s.Width():]
		t := sp.Pos + i
		for g := range s.G {
			at := (int(sp.Pages[t/a.page])*s.G+g)*a.page + t%a.page
			copy(a.k[at*s.QK:][:s.QK], row[s.kCol(g):])
			copy(a.v[at*s.VO:][:s.VO], row[s.vCol(g):])
		}
	}
})

// PagedAttention is causal attention of the spans' rows over their pages: the row
// at position t of its sequence sees tokens 0..t, its own included, so PagedAppend
// comes first; with a Window the last Window of these. ctx is [B·T, G·R·VO]; of qkv [B·T, Width] only the q part is read;
// rows of no span are left as they are. What a row gets does not depend on the other
// spans. No gradient.
func PagedAttention(p *Pool, ctx, qkv, k, v []float32, s AttnShape, page int, spans []Span) {
	if !s.Causal {
		panic(badShape)
	}
	a := pagedArgs{p: p, k: k, v: v, qkv: qkv, ctx: ctx, s: s, page: page, spans: spans, tile: max(1, attnRows/s.R)}
	a.check()
	need(ctx, s.B*s.T*s.G*s.R*s.VO)
	chunks := 0
	a.first = make([]int, len(spans))
	for i, sp := range spans {
		a.first[i] = chunks
		chunks += (sp.N + a.tile - 1) / a.tile * s.G
	}
	pagedLoop.run(p, chunks, a)
}

// Each chunk is one query tile of one K/V head of one span.
var pagedLoop = newLoop(func(a *pagedArgs, worker, chunk int) {
	s, i := &a.s, len(a.first)-1
	for a.first[i] > chunk {
		i--
	}
	sp := &a.spans[i]
	tile, g := (chunk-a.first[i])/s.G, (chunk-a.first[i])%s.G
	t0 := tile * a.tile
	n := min(a.tile, sp.N-t0)
	f := flashTile{bounds: bounds{s, nil, sp.Pos + sp.N}, t: &a.p.lanes[worker].block, rows: n * s.R, t0: sp.Pos + t0}
	buf := f.cut(a.p.Scratch(worker, f.size()))
	row := sp.Row + t0
	current.vecOps.gather(f.q, a.qkv[row*s.Width()+s.qCol(g, 0):], n, s.R*s.QK, s.R*s.QK, s.Width())
	current.vecOps.affine(f.q, f.q, s.Scale*math.Log2E, 0) // scores of base 2
	freshSoftmax(f.state)
	keys := sp.Pos + t0 + n
	first := f.first(f.t0) / a.page * a.page
	for k0 := first; k0 < keys; k0 += a.page {
		at, m := (int(sp.Pages[k0/a.page])*s.G+g)*a.page, min(a.page, keys-k0)
		if f.rows <= maxPanel {
			f.few(a.k[at*s.QK:], a.v[at*s.VO:], k0, m, k0 > first, buf)
			continue
		}
		k := headRows{Rows: Rows{F32: a.k}, first: (at - k0) * s.QK, stride: s.QK}
		v := headRows{Rows: Rows{F32: a.v}, first: (at - k0) * s.VO, stride: s.VO}
		f.keys(&k, &v, 0, 0, k0, m, buf)
	}
	for i := range f.rows {
		at := ((row+i/s.R)*s.G*s.R + g*s.R + i%s.R) * s.VO
		current.vecOps.affine(a.ctx[at:][:s.VO], f.o[i*s.VO:], 1/f.state[2*i+1], 0)
	}
})

// few takes n keys from k0 into a tile of few rows: keys and values lie side by side
// and are read once. add says whether the tile has seen keys before.
func (f *flashTile) few(keys, values []float32, k0, n int, add bool, buf []float32) {
	s := f.s
	for i := range f.rows {
		current.vecOps.dots(buf[i*attnKeys:][:n], f.q[i*s.QK:][:s.QK], keys, s.QK)
	}
	f.cap(buf, f.rows, n)
	f.hide(buf, f.t0, 0, f.rows, k0, n)
	vo := s.VO
	if !add {
		vo = 0 // no context yet
	}
	current.vecOps.softmax(buf, f.o, f.state, n, attnKeys, vo)
	mulBlock(f.t, f.o, s.VO, buf, attnKeys, 1, values, s.VO, f.rows, n, s.VO, add) // (rows, VO)
}
