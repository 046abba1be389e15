package kernel

import "math"

// AttnShape describes attention over rows of q, k and v side by side:
//
//	q: G·R·QK columns, head-major (g, r) | k: G·QK | v: G·VO
//
// Query heads g·R .. g·R+R-1 read K/V head g. R = 1 is multi-head attention, G = 1
// multi-query. QK and VO may differ and be odd.
type AttnShape struct {
	B, T   int     // sequences, tokens of each
	G, R   int     // K/V heads, query heads of each
	QK, VO int     // head widths; QK counts both columns of a rotation pair
	Scale  float32 // multiplies q·k: 1/sqrt of the width the model was trained with
	Causal bool    // token t sees tokens 0..t, else all

	// Window bounds how far a token sees, 0 is no bound: with Causal, of keys
	// u <= t those with u > t-Window, else those with |u-t| <= Window/2.
	Window int
	// SoftCap c > 0 makes c·tanh(s/c) of the scores s = Scale·q·k; 0 is none.
	SoftCap float32
}

// Width is the number of columns of a row of q, k and v.
func (s *AttnShape) Width() int { return s.G * ((s.R+1)*s.QK + s.VO) }

func (s *AttnShape) qCol(g, r int) int { return (g*s.R + r) * s.QK }
func (s *AttnShape) kCol(g int) int    { return (s.G*s.R + g) * s.QK }
func (s *AttnShape) vCol(g int) int    { return s.G*(s.R+1)*s.QK + g*s.VO }

func (s *AttnShape) check() {
	if s.B < 0 || s.T < 0 || s.G <= 0 || s.R <= 0 || s.QK <= 0 || s.VO <= 0 || s.Window < 0 || !(s.SoftCap >= 0) {
		panic(badShape)
	}
}

const (
	attnRows = 128 // query rows of a tile at most, the R heads of a K/V head together
	attnKeys = 128 // keys of a tile
)

// tiles is how many query tiles a sequence is cut in, and tokens how many tokens
// each has (the last one fewer).
func (s *AttnShape) tiles() int {
	n := max(1, attnRows/s.R)
	return (s.T + n - 1) / n
}

func (s *AttnShape) tokens() int {
	n := s.tiles()
	return (s.T + n - 1) / n
}

// AttentionForward computes, for every query head, ctx = softmax(Scale·q·kᵀ)·v,
// causal if the shape says so, and keeps lse, the logarithm of each softmax's
// denominator, for the backward pass. qkv is [B·T, Width] (see AttnShape), ctx is
// [B·T, G·R·VO] (head-major), lse is [B, G·R, T], or nil where no backward pass
// follows.
//
// starts, nil or [B·T], packs documents and padding in sequences. starts[t] is the
// first key that token t of its sequence sees, 0..T, and never falls within a
// sequence: t sees u where starts[t] <= u and, causal, u <= t, or else
// starts[u] <= t. For a document it is the index of its first token. A token with
// starts[t] > t is padding: it sees nothing, is seen by none, and its ctx is 0.
//
// Scores exist a tile at a time, with the softmax taken online; tiles that no query
// sees are skipped; the R query heads of a K/V head go through together.
// Source: Dao et al., FlashAttention, https://arxiv.org/abs/2205.14135.
func AttentionForward(p *Pool, ctx Rows, lse []float32, qkv Rows, starts []int32, s AttnShape) {
	s.check()
	s.checkStarts(starts)
	ctx.need(s.B * s.T * s.G * s.R * s.VO)
	if lse != nil {
		need(lse, s.B*s.G*s.R*s.T)
	}
	qkv.need(s.B * s.T * s.Width())
	w := s.Width()
	attnLoop.run(p, s.B*s.G*s.tiles(), attnArgs{
		p: p, ctx: ctx, lse: lse, qkv: qkv, starts: starts, s: s,
		k: headRows{qkv, s.kCol(0), s.T * w, s.QK, w},
		v: headRows{qkv, s.vCol(0), s.T * w, s.VO, w},
	})
}

// apart is the i-th of n heads in an order in which the heads that as many workers
// take at once do not lie side by side: rows of neighbours share cache lines where a
// width is odd, and two workers that write to one line wait for each other.
func apart(i, n, workers int) int {
	each := n / workers
	if i >= each*workers {
		return i
	}
	return i%workers*each + i/workers
}

// headRows finds the rows of a K/V head: row t of head g of sequence b starts at
// first + b·batch + g·head + t·stride.
type headRows struct {
	Rows
	first, batch, head, stride int
}

func (h *headRows) at(b, g, t int) int { return h.first + b*h.batch + g*h.head + t*h.stride }

func (h *headRows) from(b, g, t int) []float32 { return h.F32[h.at(b, g, t):] }

// transposed writes n rows of cols values of a head from row t on to the columns of dst,
// attnKeys apart; buf has room for them where they are bfloat16.
func (h *headRows) transposed(dst, buf []float32, b, g, t, n, cols int) {
	if h.BF16 == nil {
		transposeInto(dst, attnKeys, h.from(b, g, t), h.stride, n, cols)
		return
	}
	h.gather(buf, h.at(b, g, t), n, cols, h.stride)
	transposeInto(dst, attnKeys, buf, cols, n, cols)
}

type attnArgs struct {
	p        *Pool
	ctx, qkv Rows
	lse      []float32
	k, v     headRows
	starts   []int32 // nil, or the first key of each token
	s        AttnShape
}

// Each chunk is one query tile of one K/V head, the later tiles first: under a
// causal mask they are the longer ones.
var attnLoop = newLoop(func(a *attnArgs, worker, chunk int) {
	s := &a.s
	tokens, heads := s.tokens(), s.B*s.G
	head := apart(chunk%heads, heads, a.p.threads)
	b, g := head/s.G, head%s.G
	t0 := (s.tiles() - 1 - chunk/heads) * tokens
	n := min(tokens, s.T-t0)
	if n <= 0 {
		return
	}
	f := flashTile{bounds: s.bounds(a.starts, b), t: &a.p.lanes[worker].block, rows: n * s.R, t0: t0}
	buf := f.cut(a.p.Scratch(worker, f.size()))
	a.qkv.gather(f.q, (b*s.T+t0)*s.Width()+s.qCol(g, 0), n, s.R*s.QK, s.Width())
	current.vecOps.affine(f.q, f.q, s.Scale*math.Log2E, 0) // scores of base 2
	freshSoftmax(f.state)
	end := f.end(f.t0 + n - 1)
	for k0 := f.first(f.t0); k0 < end; k0 += attnKeys {
		f.keys(&a.k, &a.v, b, g, k0, min(attnKeys, end-k0), buf)
	}
	for i := range f.rows {
		t, h := t0+i/s.R, g*s.R+i%s.R
		peak, sum := f.state[2*i], f.state[2*i+1]
		o, at := f.o[i*s.VO:][:s.VO], ((b*s.T+t)*s.G*s.R+h)*s.VO
		ctx := a.ctx.target(o, at, s.VO)
		lse := float32(0)
		if a.starts != nil && f.first(t) >= f.end(t) { // padding
			clear(ctx)
		} else {
			current.vecOps.affine(ctx, o, 1/sum, 0)
			lse = float32(float64(peak)*math.Ln2 + math.Log(float64(sum)))
		}
		a.ctx.store(ctx, at)
		if a.lse != nil {
			a.lse[(b*s.G*s.R+h)*s.T+t] = lse
		}
	}
})

// flashTile is one tile of queries on its way through the keys. Its rows are
// (token, head of the group), head fastest.
type flashTile struct {
	bounds
	t           *block
	rows        int
	t0          int // position of the first token
	q, o, state []float32
}

func (f *flashTile) size() int {
	s := f.s
	return f.rows*(s.QK+s.VO+2) + attnKeys*(s.QK+s.VO+current.vecOps.block.dotsTail(s.VO)) + max(maxPanel, s.QK)*attnKeys
}

func (f *flashTile) cut(buf []float32) (rest []float32) {
	f.q, buf = cut(buf, f.rows*f.s.QK)
	f.o, buf = cut(buf, f.rows*f.s.VO)
	f.state, buf = cut(buf, 2*f.rows)
	return buf
}

func cut(buf []float32, n int) (head, rest []float32) { return buf[:n:n], buf[n:] }

// keys takes n keys from k0 into the tile: for a few rows at a time, that their
// scores stay in the first cache, scores, softmax and context follow each other.
func (f *flashTile) keys(k, v *headRows, b, g, k0, n int, buf []float32) {
	s := f.s
	kt, buf := cut(buf, s.QK*attnKeys) // (QK, n)
	vc, buf := cut(buf, n*s.VO)        // (n, VO)
	tail := current.vecOps.block.dotsTail(s.VO)
	vt, buf := cut(buf, tail*attnKeys) // (tail, n)
	k.transposed(kt, buf, b, g, k0, n, s.QK)
	v.gather(vc, v.at(b, g, k0), n, s.VO, v.stride)
	if tail > 0 {
		transposeInto(vt, attnKeys, vc[s.VO-tail:], s.VO, n, tail)
	}
	panels := (f.rows + current.vecOps.block.rows - 1) / current.vecOps.block.rows
	for p := range panels {
		lo, hi := span(f.rows, panels, p)
		t, last := f.t0+lo/s.R, f.t0+(hi-1)/s.R
		from, to := f.within(t, last, k0, n)
		width := to - from
		if width == 0 {
			continue
		}
		sc := buf[:(hi-lo)*attnKeys]
		mulBlock(f.t, sc, attnKeys, f.q[lo*s.QK:], s.QK, 1, kt[from:], attnKeys, hi-lo, s.QK, width, false) // (hi-lo, width)
		f.cap(sc, hi-lo, width)
		f.hide(sc, f.t0, lo, hi-lo, k0+from, width)
		vo, add := s.VO, f.first(t) < k0
		if !add {
			vo = 0 // no context yet
		}
		current.vecOps.softmax(sc, f.o[lo*s.VO:], f.state[2*lo:2*hi], width, attnKeys, vo)
		mulBlock(f.t, f.o[lo*s.VO:], s.VO, sc, attnKeys, 1, vc[from*s.VO:], s.VO, hi-lo, width, s.VO-tail, add) // (hi-lo, VO)
		mulTail(f.t, f.o[lo*s.VO:], sc, vt[min(from, len(vt)):], hi-lo, width, s.VO, tail, add)
	}
}

// cap takes n rows of scores through the soft cap.
func (f *flashTile) cap(sc []float32, n, width int) {
	if f.s.SoftCap == 0 {
		return
	}
	c := f.s.capped()
	for i := range n {
		row := sc[i*attnKeys:][:width]
		current.vecOps.softCap(row, row, 1/c, c)
	}
}

// freshSoftmax sets the state of each row's online softmax: the peak so far and
// the sum of 2^(score - peak).
func freshSoftmax(state []float32) {
	for i := 0; i < len(state); i += 2 {
		state[i], state[i+1] = float32(math.Inf(-1)), 0
	}
}

// masked is the score of a key that a token does not see.
const masked = -1e30

// softmaxRows takes rows of scores into an online softmax, of base 2: the scores
// become 2^(score - peak) under the new peak of their row, and what was summed
// under the old one, in state (peak and sum of each row) and in the rows of o, is
// scaled to the new. A row is width of stride scores, and vo values of o.
func softmaxRows(score, o, state []float32, width, stride, vo int) {
	for i := range len(state) / 2 {
		row, o, state := score[i*stride:][:width], o[i*vo:][:vo], state[2*i:][:2]
		old := state[0]
		top := max(old, maximumRow(row))
		var sum float64
		for j, v := range row {
			e := math.Exp2(float64(v - top))
			row[j] = float32(e)
			sum += e
		}
		if top != old {
			f := float32(math.Exp2(float64(old - top)))
			for j := range o {
				o[j] *= f
			}
			state[0], state[1] = top, state[1]*f
		}
		state[1] += float32(sum)
	}
}
