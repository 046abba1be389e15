package kernel

import "math"

type attnBackArgs struct {
	p                         *Pool
	dqkv, dctx, ctx, lse, qkv []float32
	s                         AttnShape
	keys                      int // key tiles of a sequence
}

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
	if s.T == 0 || s.B == 0 {
		return
	}
	heads := s.B * s.G
	a := attnBackArgs{p, dqkv, dctx, ctx, lse, qkv, s, (s.T + attnKeys - 1) / attnKeys}
	whole := 5 * ((heads + p.threads - 1) / p.threads) * p.threads
	if whole <= 7*heads {
		attnBackHeads.run(p, heads, a)
		return
	}
	attnBackKeys.run(p, heads*a.keys, a)
	attnBackQueries.run(p, heads*s.tiles(), a)
}

var attnBackHeads = newLoop(func(a *attnBackArgs, worker, chunk int) {
	for k := range a.keys {
		for q := a.s.firstTile(k); q < a.s.tiles(); q++ {
			a.tile(worker, chunk, q, k, true, true)
		}
	}
})

// Earlier key tiles are seen by more queries: they go first.
var attnBackKeys = newLoop(func(a *attnBackArgs, worker, chunk int) {
	heads := a.s.B * a.s.G
	k := chunk / heads
	for q := a.s.firstTile(k); q < a.s.tiles(); q++ {
		a.tile(worker, chunk%heads, q, k, true, false)
	}
})

var attnBackQueries = newLoop(func(a *attnBackArgs, worker, chunk int) {
	heads := a.s.B * a.s.G
	q := a.s.tiles() - 1 - chunk/heads
	for k := 0; k < a.keys && a.s.firstTile(k) <= q; k++ {
		a.tile(worker, chunk%heads, q, k, false, true)
	}
})

// firstTile is the first query tile that sees key tile k.
func (s *AttnShape) firstTile(k int) int {
	if !s.Causal {
		return 0
	}
	return k * attnKeys / s.tokens()
}

// tile adds what query tile qt and key tile kt of one K/V head contribute: to dk
// and dv if wantKV, to dq if wantQ. The first contribution overwrites.
func (a *attnBackArgs) tile(worker, head, qt, kt int, wantKV, wantQ bool) {
	s := &a.s
	b, g := head/s.G, head%s.G
	t0, k0 := qt*s.tokens(), kt*attnKeys
	n, nk := min(s.tokens(), s.T-t0), min(attnKeys, s.T-k0)
	rows, heads := n*s.R, s.G*s.R

	buf := a.p.Scratch(worker, rows*(2*s.QK+s.VO+2*nk+1))
	q, buf := cut(buf, rows*s.QK)
	dq, buf := cut(buf, rows*s.QK)
	dc, buf := cut(buf, rows*s.VO)
	prob, buf := cut(buf, rows*nk)
	ds, _ := cut(buf, rows*nk)

	gather(q, a.qkv[(b*s.T+t0)*s.Width()+s.qCol(g, 0):], n, s.R, s.QK, s.Width())
	at := ((b*s.T+t0)*heads + g*s.R) * s.VO
	gather(dc, a.dctx[at:], n, s.R, s.VO, heads*s.VO)
	k := s.view(a.qkv, b, k0, nk, s.kCol(g), s.QK)
	v := s.view(a.qkv, b, k0, nk, s.vCol(g), s.VO)
	matTile(a.p, worker, Mat(prob, rows, nk), Mat(q, rows, s.QK), k, Product{TransB: true}) // (rows, nk)
	matTile(a.p, worker, Mat(ds, rows, nk), Mat(dc, rows, s.VO), v, Product{TransB: true})  // (rows, nk)
	for i := range rows {
		t, h := t0+i/s.R, g*s.R+i%s.R
		ctx := a.ctx[((b*s.T+t)*heads+h)*s.VO:][:s.VO]
		d := current.verbs.dot(dc[i*s.VO:][:s.VO], ctx)
		lse := a.lse[(b*heads+h)*s.T+t]
		seen := s.seen(t, k0, nk)
		clear(prob[i*nk+seen:][:nk-seen])
		clear(ds[i*nk+seen:][:nk-seen])
		current.verbs.back(prob[i*nk:][:seen], ds[i*nk:][:seen], s.Scale, lse, d)
	}
	if wantKV {
		add := Product{TransA: true, Accumulate: qt > s.firstTile(kt)}
		matTile(a.p, worker, s.view(a.dqkv, b, k0, nk, s.vCol(g), s.VO), Mat(prob, rows, nk), Mat(dc, rows, s.VO), add)
		matTile(a.p, worker, s.view(a.dqkv, b, k0, nk, s.kCol(g), s.QK), Mat(ds, rows, nk), Mat(q, rows, s.QK), add)
	}
	if wantQ {
		matTile(a.p, worker, Mat(dq, rows, s.QK), Mat(ds, rows, nk), k, Product{})
		for t := range n {
			dst := a.dqkv[(b*s.T+t0+t)*s.Width()+s.qCol(g, 0):][:s.R*s.QK]
			if src := dq[t*s.R*s.QK:][:len(dst)]; kt == 0 {
				copy(dst, src)
			} else {
				current.verbs.add(dst, dst, src)
			}
		}
	}
}

// softmaxBack turns scores into probabilities, prob = exp(scale·prob - lse), and
// ds, the gradient of the probabilities, into that of q·k,
// ds = scale·prob·(ds - d).
func softmaxBack(prob, ds []float32, scale, lse, d float32) {
	for i, v := range prob {
		e := float32(math.Exp(float64(v*scale - lse)))
		prob[i] = e
		ds[i] = scale * e * (ds[i] - d)
	}
}
