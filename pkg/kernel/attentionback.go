package kernel

import "math"

// AttentionBackward overwrites dqkv [B·T, Width] with the gradient of qkv, from
// dctx, the gradient of ctx, and AttentionForward's ctx, lse and qkv. dqkv must
// not be qkv.
//
// Probabilities are made again from lse, P = exp(Scale·q·kᵀ - lse), and with
// D = rowsum(dctx·ctx):
//
//	dv = Pᵀ·dctx,  dS = Scale·P·(dctx·vᵀ - D),  dq = dS·k,  dk = dSᵀ·q
//
// where a soft cap c multiplies dS by 1 - (s/c)², s the capped score. starts must be
// the forward pass's.
//
// Where there are K/V heads enough for the threads, one chunk does all of one
// head: five products a tile. Otherwise two rounds split by key tiles (dk, dv)
// and by query tiles (dq), at seven products a tile. Both sum in the same order,
// so the result is the same to the bit.
func AttentionBackward(p *Pool, dqkv, dctx []float32, ctx Rows, lse []float32, qkv Rows, starts []int32, s AttnShape) {
	s.check()
	s.checkStarts(starts)
	need(dctx, s.B*s.T*s.G*s.R*s.VO)
	ctx.need(s.B * s.T * s.G * s.R * s.VO)
	need(lse, s.B*s.G*s.R*s.T)
	need(dqkv, s.B*s.T*s.Width())
	qkv.need(s.B * s.T * s.Width())
	heads, w := s.B*s.G, s.Width()
	a := attnBackArgs{
		p: p, dqkv: dqkv, dctx: dctx, lse: lse, ctx: ctx, qkv: qkv, starts: starts, s: s, keyTiles: (s.T + attnKeys - 1) / attnKeys,
		k: headRows{qkv, s.kCol(0), s.T * w, s.QK, w},
		v: headRows{qkv, s.vCol(0), s.T * w, s.VO, w},
	}
	whole := 5 * ((heads + p.threads - 1) / p.threads) * p.threads
	if whole <= 7*heads {
		attnBackHeads.run(p, heads, a)
		return
	}
	attnBackKeys.run(p, heads*a.keyTiles, a)
	attnBackQueries.run(p, heads*s.tiles(), a)
}

type attnBackArgs struct {
	p               *Pool
	dqkv, dctx, lse []float32
	ctx, qkv        Rows
	k, v            headRows // of qkv
	starts          []int32  // nil, or the first key of each token
	s               AttnShape
	keyTiles        int // of a sequence
}

var attnBackHeads = newLoop(func(a *attnBackArgs, worker, head int) {
	h := a.head(worker, apart(head, a.s.B*a.s.G, a.p.threads))
	for q := range a.s.tiles() {
		h.unseeing(q)
	}
	for k := range a.keyTiles {
		h.keyTile(k, true)
	}
})

// Earlier key tiles are seen by more queries: they go first.
var attnBackKeys = newLoop(func(a *attnBackArgs, worker, chunk int) {
	heads := a.s.B * a.s.G
	h := a.head(worker, apart(chunk%heads, heads, a.p.threads))
	h.keyTile(chunk/heads, false)
})

var attnBackQueries = newLoop(func(a *attnBackArgs, worker, chunk int) {
	heads := a.s.B * a.s.G
	h := a.head(worker, apart(chunk%heads, heads, a.p.threads))
	q := a.s.tiles() - 1 - chunk/heads
	h.unseeing(q)
	h.openRows(q, true)
	first, end := h.tiles(q)
	for k := first; k < end; k++ {
		h.openKeys(k)
		h.scores()
		h.queries()
	}
})

// tiles is the key tiles that query tile q sees, from first to before end.
func (h *headBack) tiles(q int) (first, end int) {
	t0, n := h.tokens(q)
	if n == 0 {
		return 0, 0
	}
	from, to := h.first(t0), h.end(t0+n-1)
	if from >= to {
		return 0, 0
	}
	return from / attnKeys, (to + attnKeys - 1) / attnKeys
}

// tokens is where query tile q begins and how many tokens it has.
func (h *headBack) tokens(q int) (t0, n int) {
	each := h.s.tokens()
	return q * each, max(0, min(each, h.s.T-q*each))
}

// unseeing clears dq of a query tile that sees no key.
func (h *headBack) unseeing(q int) {
	t0, n := h.tokens(q)
	if first, end := h.tiles(q); first < end {
		return
	}
	s := h.s
	for t := t0; t < t0+n; t++ {
		clear(h.a.dqkv[(h.b*s.T+t)*s.Width()+s.qCol(h.g, 0):][:s.R*s.QK])
	}
}

// headBack is the backward pass of one K/V head: the tile of queries and the tile
// of keys at hand, side by side in scratch.
type headBack struct {
	bounds
	a    *attnBackArgs
	t    *block
	b, g int

	// Rows of nk are attnStride apart, those of QK and VO qs and vs.
	qs, vs       int
	k0, nk       int       // keys at hand
	kt, vt       []float32 // k and v transposed, (QK, nk) and (VO, nk)
	k            []float32 // (nk, QK)
	dk, dv       []float32 // (nk, QK), (nk, VO), but for their last columns
	dkt, dvt     []float32 // these, transposed
	t0, n, rows  int       // tokens and rows at hand
	q, dctx      []float32 // (rows, QK), (rows, VO)
	delta, lse   []float32 // (rows): D, and lse of base 2
	all          []float32 // D and lse of all rows of the head
	ctx          []float32 // (VO)
	prob, ds, dq []float32 // (rows, nk); (rows, QK)
}

func (a *attnBackArgs) head(worker, head int) headBack {
	s := &a.s
	h := headBack{bounds: s.bounds(a.starts, head/s.G), a: a, t: &a.p.lanes[worker].block, b: head / s.G, g: head % s.G, qs: spaced(s.QK), vs: spaced(s.VO)}
	rows := s.tokens() * s.R
	qkTail, voTail := current.vecOps.block.blockTail(s.QK), current.vecOps.block.blockTail(s.VO)
	buf := a.p.Scratch(worker, attnStride*(roomy(s.QK)+roomy(s.VO)+qkTail+voTail)+attnKeys*(2*h.qs+h.vs)+rows*(2*h.qs+h.vs+2*attnStride)+2*s.T*s.R+s.VO)
	h.kt, buf = cut(buf, attnStride*roomy(s.QK))
	h.vt, buf = cut(buf, attnStride*roomy(s.VO))
	h.k, buf = cut(buf, attnKeys*h.qs)
	h.dk, buf = cut(buf, attnKeys*h.qs)
	h.dv, buf = cut(buf, attnKeys*h.vs)
	h.dkt, buf = cut(buf, attnStride*qkTail)
	h.dvt, buf = cut(buf, attnStride*voTail)
	h.q, buf = cut(buf, rows*h.qs)
	h.dctx, buf = cut(buf, rows*h.vs)
	h.prob, buf = cut(buf, rows*attnStride)
	h.ds, buf = cut(buf, rows*attnStride)
	h.dq, buf = cut(buf, rows*h.qs)
	h.all, buf = cut(buf, 2*s.T*s.R)
	h.ctx, _ = cut(buf, s.VO)
	return h
}

// keyTile makes dk and dv of key tile k, and with wantQ its part of dq.
func (h *headBack) keyTile(k int, wantQ bool) {
	h.openKeys(k)
	clear(h.dk)
	clear(h.dv)
	clear(h.dkt)
	clear(h.dvt)
	for q := range h.s.tiles() {
		first, end := h.tiles(q)
		if k < first || k >= end {
			continue
		}
		h.openRows(q, k == first || !wantQ)
		h.scores()
		h.keys()
		if wantQ {
			h.queries()
		}
	}
	s, w := h.s, h.s.Width()
	transposeInto(h.dk[s.QK-len(h.dkt)/attnStride:], h.qs, h.dkt, attnStride, len(h.dkt)/attnStride, h.nk)
	transposeInto(h.dv[s.VO-len(h.dvt)/attnStride:], h.vs, h.dvt, attnStride, len(h.dvt)/attnStride, h.nk)
	out := Rows{F32: h.a.dqkv}
	for i := range h.nk {
		if ahead := min(8, h.nk-i-8); i%8 == 0 {
			out.fetch((h.b*s.T+h.k0+i+8)*w+s.kCol(h.g), ahead, s.QK, w)
			out.fetch((h.b*s.T+h.k0+i+8)*w+s.vCol(h.g), ahead, s.VO, w)
		}
		to := h.a.dqkv[(h.b*s.T+h.k0+i)*w:]
		copy(to[s.kCol(h.g):][:s.QK], h.dk[i*h.qs:])
		copy(to[s.vCol(h.g):][:s.VO], h.dv[i*h.vs:])
	}
}

func (h *headBack) openKeys(k int) {
	s, a := h.s, h.a
	h.k0 = k * attnKeys
	h.nk = min(attnKeys, s.T-h.k0)
	a.v.tile(h.dv, h.b, h.g, h.k0, h.nk, s.VO)
	turned(h.vt, h.dv, h.nk, s.VO)
	a.k.tile(h.k, h.b, h.g, h.k0, h.nk, s.QK)
	turned(h.kt, h.k, h.nk, s.QK)
}

// openRows takes query tile q to hand, for the first time or again.
func (h *headBack) openRows(q int, fresh bool) {
	s := h.s
	h.t0, h.n = h.tokens(q)
	h.rows = h.n * s.R
	if h.n == 0 {
		return
	}
	at, cw := h.b*s.T+h.t0, s.G*s.R*s.VO
	for r := range s.R {
		h.a.qkv.gather(h.q[r*h.qs:], s.R*h.qs, at*s.Width()+s.qCol(h.g, r), h.n, s.QK, s.Width())
		current.vecOps.gatherRoomy(h.dctx[r*h.vs:], h.a.dctx[at*cw+(h.g*s.R+r)*s.VO:], h.n, s.VO, s.R*h.vs, cw)
	}
	h.delta, h.lse = h.all[h.t0*s.R:][:h.rows], h.all[(s.T+h.t0)*s.R:][:h.rows]
	if !fresh {
		return
	}
	for i := range h.rows {
		ctx := h.a.ctx.read(h.ctx, (at+i/s.R)*cw+(h.g*s.R+i%s.R)*s.VO, s.VO)
		h.delta[i] = current.vecOps.dot(h.dctx[i*h.vs:][:s.VO], ctx)
		h.lse[i] = math.Log2E * h.a.lse[(h.b*s.G*s.R+h.g*s.R+i%s.R)*s.T+h.t0+i/s.R]
	}
}

// panels is how many runs of rows the tile is multiplied in.
func (h *headBack) panels() int {
	return (h.rows + current.vecOps.block.rows - 1) / current.vecOps.block.rows
}

// scores makes P and dS of the tiles at hand, zero where a row does not see a key.
func (h *headBack) scores() {
	s, panels := h.s, h.panels()
	for p := range panels {
		lo, hi := span(h.rows, panels, p)
		prob, ds := h.prob[lo*attnStride:hi*attnStride], h.ds[lo*attnStride:hi*attnStride]
		from, to := h.within(h.t0+lo/s.R, h.t0+(hi-1)/s.R, h.k0, h.nk)
		if width := to - from; width > 0 {
			mulRoomy(h.t, prob[from:], attnStride, h.q[lo*h.qs:], h.qs, 1, h.kt[from:], attnStride, hi-lo, s.QK, width, false)  // (hi-lo, width)
			mulRoomy(h.t, ds[from:], attnStride, h.dctx[lo*h.vs:], h.vs, 1, h.vt[from:], attnStride, hi-lo, s.VO, width, false) // (hi-lo, width)
			h.softmax(prob[from:], ds[from:], lo, hi, width)
		}
		if h.seeAll(h.t0+lo/s.R, h.t0+(hi-1)/s.R, h.k0, h.nk) {
			continue
		}
		for i := lo; i < hi; i++ {
			t := h.t0 + i/s.R
			from, to := h.within(t, t, h.k0, h.nk)
			prob, ds := prob[(i-lo)*attnStride:][:h.nk], ds[(i-lo)*attnStride:][:h.nk]
			clear(prob[:min(from, h.nk)])
			clear(ds[:min(from, h.nk)])
			clear(prob[min(to, h.nk):])
			clear(ds[min(to, h.nk):])
		}
	}
}

var noDelta [1]float32

// softmax is softmaxBackRows of rows lo to hi, through the soft cap if there is one.
func (h *headBack) softmax(prob, ds []float32, lo, hi, width int) {
	s, v := h.s, current.vecOps
	if s.SoftCap == 0 {
		width = ceil(width, v.block.whole) * v.block.whole // there is room, and it means nothing
		v.softmaxBack(prob, ds, h.lse[lo:hi], h.delta[lo:hi], width, attnStride, s.Scale*math.Log2E, s.Scale)
		return
	}
	c := s.capped()
	for i := lo; i < hi; i++ {
		p, d := prob[(i-lo)*attnStride:][:width], ds[(i-lo)*attnStride:][:width]
		v.softCap(p, p, s.Scale*math.Log2E/c, c)
		v.softCapBack(d, d, p, h.delta[i], 1/c)
		v.softmaxBack(p, d, h.lse[i:i+1], noDelta[:], width, attnStride, 1, s.Scale)
	}
}

// keys adds to dk and dv, a panel of keys at a time.
func (h *headBack) keys() {
	s, most := h.s, current.vecOps.block.rows
	qk, vo := s.QK-len(h.dkt)/attnStride, s.VO-len(h.dvt)/attnStride
	panels := (h.nk + most - 1) / most
	for p := range panels {
		lo, hi := span(h.nk, panels, p)
		if first, n := h.seeing(lo, hi); n > 0 {
			at := first*attnStride + lo
			mulRoomy(h.t, h.dv[lo*h.vs:], h.vs, h.prob[at:], 1, attnStride, h.dctx[first*h.vs:], h.vs, hi-lo, n, vo, true) // (hi-lo, VO)
			mulRoomy(h.t, h.dk[lo*h.qs:], h.qs, h.ds[at:], 1, attnStride, h.q[first*h.qs:], h.qs, hi-lo, n, qk, true)      // (hi-lo, QK)
		}
	}
	wide := 2 * current.vecOps.block.lanes
	for lo := 0; lo < h.nk; lo += wide {
		cols := min(wide, h.nk-lo)
		if first, n := h.seeing(lo, lo+cols); n > 0 {
			at := first*attnStride + lo
			mulRoomy(h.t, h.dvt[min(lo, len(h.dvt)):], attnStride, h.dctx[first*h.vs+vo:], 1, h.vs, h.prob[at:], attnStride, s.VO-vo, n, cols, true) // (tail, cols)
			mulRoomy(h.t, h.dkt[min(lo, len(h.dkt)):], attnStride, h.q[first*h.qs+qk:], 1, h.qs, h.ds[at:], attnStride, s.QK-qk, n, cols, true)      // (tail, cols)
		}
	}
}

// seeing is the first row that sees one of keys lo to hi of the tile at hand, and
// how many do.
func (h *headBack) seeing(lo, hi int) (first, n int) {
	from, to := h.readers(h.k0+lo, h.k0+hi-1)
	first = min(h.rows, max(0, from-h.t0)*h.s.R)
	return first, max(first, min(h.rows, max(0, to-h.t0)*h.s.R)) - first
}

// queries adds to dq, which the first key tile that the rows see overwrites.
func (h *headBack) queries() {
	s, panels := h.s, h.panels()
	tail := current.vecOps.block.dotsTail(s.QK)
	for p := range panels {
		lo, hi := span(h.rows, panels, p)
		from, to := h.within(h.t0+lo/s.R, h.t0+(hi-1)/s.R, h.k0, h.nk)
		out, t, last := Rows{F32: h.a.dqkv}, h.t0+lo/s.R, h.t0+(hi-1)/s.R
		out.fetch((h.b*s.T+t)*s.Width()+s.qCol(h.g, 0), last-t+1, s.R*s.QK, s.Width())
		if width := to - from; width > 0 {
			at := lo*attnStride + from
			mulRoomy(h.t, h.dq[lo*h.qs:], h.qs, h.ds[at:], attnStride, 1, h.k[from*h.qs:], h.qs, hi-lo, width, s.QK-tail, false) // (hi-lo, QK)
			mulTail(h.t, h.dq[lo*h.qs:], h.qs, h.ds[at:], h.kt[min((s.QK-tail)*attnStride+from, len(h.kt)):], hi-lo, width, s.QK, tail, false)
		} else {
			clear(h.dq[lo*h.qs : hi*h.qs])
		}
		h.putQueries(lo, hi)
	}
}

// putQueries writes dq of rows lo to hi.
func (h *headBack) putQueries(lo, hi int) {
	s, over := h.s, h.k0 <= h.first(h.t0)
	for i := lo; i < hi; i++ {
		to, dq := h.a.dqkv[(h.b*s.T+h.t0+i/s.R)*s.Width()+s.qCol(h.g, i%s.R):][:s.QK], h.dq[i*h.qs:]
		if over {
			copy(to, dq)
		} else {
			current.vecOps.add(to, to, dq)
		}
	}
}

// softmaxBackRows turns rows of scores q·k into probabilities,
// prob = 2^(slope·prob - lse), and ds, the gradient of the probabilities, into
// that of q·k, ds = scale·prob·(ds - delta). A row is width of stride values; lse
// and delta have a value for each. slope is scale times the logarithm of 2's
// inverse.
func softmaxBackRows(prob, ds, lse, delta []float32, width, stride int, slope, scale float32) {
	for i, l := range lse {
		p, d := prob[i*stride:][:width], ds[i*stride:][:width]
		for j, v := range p {
			e := float32(math.Exp2(float64(v*slope - l)))
			p[j] = e
			d[j] = scale * e * (d[j] - delta[i])
		}
	}
}
