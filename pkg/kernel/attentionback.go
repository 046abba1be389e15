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
// Where there are K/V heads enough for the threads, one chunk does all of one
// head: five products a tile. Otherwise two rounds split by key tiles (dk, dv)
// and by query tiles (dq), at seven products a tile. Both sum in the same order,
// so the result is the same to the bit.
func AttentionBackward(p *Pool, dqkv, dctx, ctx, lse, qkv []float32, s AttnShape) {
	s.check()
	needs(s.B*s.T*s.G*s.R*s.VO, dctx, ctx)
	need(lse, s.B*s.G*s.R*s.T)
	needs(s.B*s.T*s.Width(), dqkv, qkv)
	heads := s.B * s.G
	a := attnBackArgs{p, dqkv, dctx, ctx, lse, qkv, s, (s.T + attnKeys - 1) / attnKeys}
	whole := 5 * ((heads + p.threads - 1) / p.threads) * p.threads
	if whole <= 7*heads {
		attnBackHeads.run(p, heads, a)
		return
	}
	attnBackKeys.run(p, heads*a.keyTiles, a)
	attnBackQueries.run(p, heads*s.tiles(), a)
}

type attnBackArgs struct {
	p                         *Pool
	dqkv, dctx, ctx, lse, qkv []float32
	s                         AttnShape
	keyTiles                  int // of a sequence
}

var attnBackHeads = newLoop(func(a *attnBackArgs, worker, head int) {
	h := a.head(worker, apart(head, a.s.B*a.s.G, a.p.threads))
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
	h.openRows(q)
	for k := 0; k < a.keyTiles && a.s.firstTile(k) <= q; k++ {
		h.openKeys(k)
		h.scores()
		h.queries()
	}
})

// firstTile is the first query tile that sees key tile k.
func (s *AttnShape) firstTile(k int) int {
	if !s.Causal {
		return 0
	}
	return k * attnKeys / s.tokens()
}

// headBack is the backward pass of one K/V head: the tile of queries and the tile
// of keys at hand, side by side in scratch.
type headBack struct {
	a    *attnBackArgs
	s    *AttnShape
	t    *block
	b, g int

	k0, nk       int       // keys at hand
	kt, vt       []float32 // k and v transposed, (QK, nk) and (VO, nk), attnKeys apart
	k            []float32 // (nk, QK)
	dk, dv       []float32 // (nk, QK), (nk, VO), but for their last columns
	dkt, dvt     []float32 // these, transposed, attnKeys apart
	t0, n, rows  int       // tokens and rows at hand
	q, dctx      []float32 // (rows, QK), (rows, VO)
	delta, lse   []float32 // (rows): D, and lse of base 2
	prob, ds, dq []float32 // (rows, nk) attnKeys apart; (rows, QK)
}

func (a *attnBackArgs) head(worker, head int) headBack {
	s := &a.s
	h := headBack{a: a, s: s, t: &a.p.lanes[worker].block, b: head / s.G, g: head % s.G}
	rows := s.tokens() * s.R
	qkTail, voTail := current.verbs.block.blockTail(s.QK), current.verbs.block.blockTail(s.VO)
	buf := a.p.Scratch(worker, attnKeys*(3*s.QK+2*s.VO+qkTail+voTail)+rows*(2*s.QK+s.VO+2*attnKeys+2))
	h.kt, buf = cut(buf, attnKeys*s.QK)
	h.vt, buf = cut(buf, attnKeys*s.VO)
	h.k, buf = cut(buf, attnKeys*s.QK)
	h.dk, buf = cut(buf, attnKeys*s.QK)
	h.dv, buf = cut(buf, attnKeys*s.VO)
	h.dkt, buf = cut(buf, attnKeys*qkTail)
	h.dvt, buf = cut(buf, attnKeys*voTail)
	h.q, buf = cut(buf, rows*s.QK)
	h.dctx, buf = cut(buf, rows*s.VO)
	h.prob, buf = cut(buf, rows*attnKeys)
	h.ds, buf = cut(buf, rows*attnKeys)
	h.dq, buf = cut(buf, rows*s.QK)
	h.delta, buf = cut(buf, rows)
	h.lse, _ = cut(buf, rows)
	return h
}

// keyTile makes dk and dv of key tile k, and with wantQ its part of dq.
func (h *headBack) keyTile(k int, wantQ bool) {
	h.openKeys(k)
	clear(h.dk)
	clear(h.dv)
	clear(h.dkt)
	clear(h.dvt)
	for q := h.s.firstTile(k); q < h.s.tiles(); q++ {
		h.openRows(q)
		h.scores()
		h.keys()
		if wantQ {
			h.queries()
		}
	}
	s, w := h.s, h.s.Width()
	transposeInto(h.dk[s.QK-len(h.dkt)/attnKeys:], s.QK, h.dkt, attnKeys, len(h.dkt)/attnKeys, h.nk)
	transposeInto(h.dv[s.VO-len(h.dvt)/attnKeys:], s.VO, h.dvt, attnKeys, len(h.dvt)/attnKeys, h.nk)
	to := h.a.dqkv[(h.b*s.T+h.k0)*w:]
	current.verbs.gather(to[s.kCol(h.g):], h.dk, h.nk, s.QK, w, s.QK)
	current.verbs.gather(to[s.vCol(h.g):], h.dv, h.nk, s.VO, w, s.VO)
}

func (h *headBack) openKeys(k int) {
	s, w := h.s, h.s.Width()
	h.k0 = k * attnKeys
	h.nk = min(attnKeys, s.T-h.k0)
	at := (h.b*s.T + h.k0) * w
	transposeInto(h.kt, attnKeys, h.a.qkv[at+s.kCol(h.g):], w, h.nk, s.QK)
	transposeInto(h.vt, attnKeys, h.a.qkv[at+s.vCol(h.g):], w, h.nk, s.VO)
	current.verbs.gather(h.k, h.a.qkv[at+s.kCol(h.g):], h.nk, s.QK, s.QK, w)
}

func (h *headBack) openRows(q int) {
	s := h.s
	h.t0 = q * s.tokens()
	h.n = max(0, min(s.tokens(), s.T-h.t0))
	h.rows = h.n * s.R
	if h.n == 0 {
		return
	}
	at, cw := h.b*s.T+h.t0, s.G*s.R*s.VO
	current.verbs.gather(h.q, h.a.qkv[at*s.Width()+s.qCol(h.g, 0):], h.n, s.R*s.QK, s.R*s.QK, s.Width())
	current.verbs.gather(h.dctx, h.a.dctx[at*cw+h.g*s.R*s.VO:], h.n, s.R*s.VO, s.R*s.VO, cw)
	for i := range h.rows {
		ctx := h.a.ctx[(at+i/s.R)*cw+(h.g*s.R+i%s.R)*s.VO:][:s.VO]
		h.delta[i] = current.verbs.dot(h.dctx[i*s.VO:][:s.VO], ctx)
		h.lse[i] = math.Log2E * h.a.lse[(h.b*s.G*s.R+h.g*s.R+i%s.R)*s.T+h.t0+i/s.R]
	}
}

// panels is how many runs of rows the tile is multiplied in.
func (h *headBack) panels() int {
	return (h.rows + current.verbs.block.rows - 1) / current.verbs.block.rows
}

// scores makes P and dS of the tiles at hand, zero where a row sees no key.
func (h *headBack) scores() {
	s, panels := h.s, h.panels()
	for p := range panels {
		lo, hi := span(h.rows, panels, p)
		prob, ds := h.prob[lo*attnKeys:hi*attnKeys], h.ds[lo*attnKeys:hi*attnKeys]
		most := s.seen(h.t0+(hi-1)/s.R, h.k0, h.nk)
		if most > 0 {
			mulBlock(h.t, prob, attnKeys, h.q[lo*s.QK:], s.QK, 1, h.kt, attnKeys, hi-lo, s.QK, most, false)  // (hi-lo, most)
			mulBlock(h.t, ds, attnKeys, h.dctx[lo*s.VO:], s.VO, 1, h.vt, attnKeys, hi-lo, s.VO, most, false) // (hi-lo, most)
			current.verbs.softmaxBack(prob, ds, h.lse[lo:hi], h.delta[lo:hi], most, attnKeys, s.Scale*math.Log2E, s.Scale)
		}
		for i := lo; i < hi; i++ {
			if seen := s.seen(h.t0+i/s.R, h.k0, h.nk); seen < attnKeys {
				clear(prob[(i-lo)*attnKeys+seen:][:attnKeys-seen])
				clear(ds[(i-lo)*attnKeys+seen:][:attnKeys-seen])
			}
		}
	}
}

// keys adds to dk and dv, a panel of keys at a time.
func (h *headBack) keys() {
	s, most := h.s, current.verbs.block.rows
	qk, vo := s.QK-len(h.dkt)/attnKeys, s.VO-len(h.dvt)/attnKeys
	panels := (h.nk + most - 1) / most
	for p := range panels {
		lo, hi := span(h.nk, panels, p)
		if first, n := h.seeing(lo); n > 0 {
			at := first*attnKeys + lo
			mulBlock(h.t, h.dv[lo*s.VO:], s.VO, h.prob[at:], 1, attnKeys, h.dctx[first*s.VO:], s.VO, hi-lo, n, vo, true) // (hi-lo, VO)
			mulBlock(h.t, h.dk[lo*s.QK:], s.QK, h.ds[at:], 1, attnKeys, h.q[first*s.QK:], s.QK, hi-lo, n, qk, true)      // (hi-lo, QK)
		}
	}
	wide := 2 * current.verbs.block.lanes
	for lo := 0; lo < h.nk; lo += wide {
		cols := min(wide, h.nk-lo)
		if first, n := h.seeing(lo); n > 0 {
			at := first*attnKeys + lo
			mulBlock(h.t, h.dvt[min(lo, len(h.dvt)):], attnKeys, h.dctx[first*s.VO+vo:], 1, s.VO, h.prob[at:], attnKeys, s.VO-vo, n, cols, true) // (tail, cols)
			mulBlock(h.t, h.dkt[min(lo, len(h.dkt)):], attnKeys, h.q[first*s.QK+qk:], 1, s.QK, h.ds[at:], attnKeys, s.QK-qk, n, cols, true)      // (tail, cols)
		}
	}
}

// seeing is the first row that sees key lo of the tile at hand, and how many do.
func (h *headBack) seeing(lo int) (first, n int) {
	if h.s.Causal {
		first = min(h.rows, max(0, h.k0+lo-h.t0)*h.s.R)
	}
	return first, h.rows - first
}

// queries adds to dq, which the first key tile overwrites.
func (h *headBack) queries() {
	s, panels := h.s, h.panels()
	tail := current.verbs.block.dotsTail(s.QK)
	for p := range panels {
		lo, hi := span(h.rows, panels, p)
		if most := s.seen(h.t0+(hi-1)/s.R, h.k0, h.nk); most > 0 {
			mulBlock(h.t, h.dq[lo*s.QK:], s.QK, h.ds[lo*attnKeys:], attnKeys, 1, h.k, s.QK, hi-lo, most, s.QK-tail, false) // (hi-lo, QK)
			mulTail(h.t, h.dq[lo*s.QK:], h.ds[lo*attnKeys:], h.kt[(s.QK-tail)*attnKeys:], hi-lo, most, s.QK, tail, false)
		} else {
			clear(h.dq[lo*s.QK : hi*s.QK])
		}
	}
	if h.n == 0 {
		return
	}
	w := s.R * s.QK
	to := h.a.dqkv[(h.b*s.T+h.t0)*s.Width()+s.qCol(h.g, 0):]
	if h.k0 == 0 {
		current.verbs.gather(to, h.dq, h.n, w, s.Width(), w)
		return
	}
	for t := range h.n {
		dst := to[t*s.Width():][:w]
		current.verbs.add(dst, dst, h.dq[t*w:])
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
