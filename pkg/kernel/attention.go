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
	attnRows   = 128 // query rows of a tile at most, the R heads of a K/V head together
	attnKeys   = 128 // keys of a tile
	attnStride = 144 // rows of so many keys are spaced(attnKeys) apart
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
	group := s.group(p.threads)
	attnLoop.run(p, s.B*s.G*ceil(s.tiles(), group), attnArgs{
		group: group, p: p, ctx: ctx, lse: lse, qkv: qkv, starts: starts, s: s,
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

// tile copies n rows of cols values of a head from row t on to rows of dst, spaced(cols) apart.
func (h *headRows) tile(dst []float32, b, g, t, n, cols int) {
	h.gather(dst, spaced(cols), h.at(b, g, t), n, cols, h.stride)
}

// turned writes such rows to the columns of dst, attnStride apart. Up to whole vectors
// there is more of either, which means nothing.
func turned(dst, src []float32, n, cols int) {
	transposeInto(dst, attnStride, src, spaced(cols), roomy(n), roomy(cols))
}

type attnArgs struct {
	group    int // query tiles of a chunk
	p        *Pool
	ctx, qkv Rows
	lse      []float32
	k, v     headRows
	starts   []int32 // nil, or the first key of each token
	s        AttnShape
}

// group is how many query tiles go through the keys together: they share what is made of each
// tile of keys, as long as they fit the second cache and there are chunks enough for the workers.
func (s *AttnShape) group(threads int) int {
	n := min(4, 64<<10/(attnRows*(s.QK+s.VO)), s.B*s.G*s.tiles()/(8*threads))
	return max(1, n)
}

// Each chunk is a group of query tiles of one K/V head, the later ones first: under a
// causal mask they are the longer ones.
var attnLoop = newLoop(func(a *attnArgs, worker, chunk int) {
	s := &a.s
	heads := s.B * s.G
	head := apart(chunk%heads, heads, a.p.threads)
	f := flashTile{bounds: s.bounds(a.starts, head/s.G), a: a, b: head / s.G, g: head % s.G, t: &a.p.lanes[worker].block, wide: roomy(s.VO)}
	last := (ceil(s.tiles(), a.group) - 1 - chunk/heads) * a.group
	for lo, end, each := last, min(last+a.group, s.tiles()), s.tokens(); lo < end; {
		hi := lo + 1
		for hi < end && hi*each < s.T && f.first(hi*each) == f.first(lo*each) {
			hi++
		}
		if n := min(hi*each, s.T) - lo*each; n > 0 {
			f.t0, f.rows, f.each = lo*each, n*s.R, each*s.R
			f.run(worker)
		}
		lo = hi
	}
})

// run takes the rows of a tile, or of several that begin at the same key, from queries to contexts.
func (f *flashTile) run(worker int) {
	a, s, n := f.a, f.s, f.rows/f.s.R
	buf := f.cut(a.p.Scratch(worker, f.size()))
	a.qkv.gather(f.q, s.R*s.QK, (f.b*s.T+f.t0)*s.Width()+s.qCol(f.g, 0), n, s.R*s.QK, s.Width())
	current.vecOps.affine(f.q, f.q, s.Scale*math.Log2E, 0) // scores of base 2
	freshSoftmax(f.state)
	end := f.end(f.t0 + n - 1)
	for k0 := f.first(f.t0); k0 < end; k0 += attnKeys {
		f.keys(&a.k, &a.v, f.b, f.g, k0, min(attnKeys, end-k0), buf)
	}
	if a.starts != nil {
		f.put(0, f.rows)
	}
}

// put writes the contexts of rows lo to hi, which have seen all keys.
func (f *flashTile) put(lo, hi int) {
	a, s := f.a, f.s
	for i := lo; i < hi; i++ {
		t, h := f.t0+i/s.R, f.g*s.R+i%s.R
		peak, sum := f.state[2*i], f.state[2*i+1]
		o, at := f.o[i*f.wide:][:s.VO], ((f.b*s.T+t)*s.G*s.R+h)*s.VO
		ctx := a.ctx.target(o, at, s.VO)
		lse := float32(0)
		if a.starts != nil && f.first(t) >= f.end(t) { // padding
			clear(ctx)
		} else {
			current.vecOps.affine(ctx, o, 1/sum, 0)
			if a.lse != nil {
				lse = float32(float64(peak)*math.Ln2 + math.Log(float64(sum)))
			}
		}
		a.ctx.store(ctx, at)
		if a.lse != nil {
			a.lse[(f.b*s.G*s.R+h)*s.T+t] = lse
		}
	}
}

// flashTile is a tile of queries on its way through the keys, or several. Its rows are
// (token, head of the group), head fastest.
type flashTile struct {
	bounds
	a           *attnArgs // nil where keys lie in pages
	b, g        int       // sequence and K/V head of a
	t           *block
	rows, each  int // of all tiles, of one
	t0          int // position of the first token
	wide        int // rows of o are so far apart
	q, o, state []float32
}

func (f *flashTile) size() int {
	s := f.s
	return 16*3 + f.rows*(s.QK+roomy(s.VO)+2) + attnStride*(roomy(s.QK)+current.vecOps.block.dotsTail(s.VO)) +
		attnKeys*spaced(s.VO) + max(maxPanel*attnStride, attnKeys*spaced(s.QK))
}

func (f *flashTile) cut(buf []float32) (rest []float32) {
	f.q, buf = cutLines(buf, f.rows*f.s.QK)
	f.o, buf = cutLines(buf, f.rows*f.wide)
	f.state, buf = cutLines(buf, 2*f.rows)
	return buf
}

func cut(buf []float32, n int) (head, rest []float32) { return buf[:n:n], buf[n:] }

// cutLines is cut whose rest begins at a line of the cache.
func cutLines(buf []float32, n int) (head, rest []float32) { return buf[:n:n], buf[(n+15)/16*16:] }

// keys takes n keys from k0 into the tiles: for a few rows at a time, that their
// scores stay in the first cache, scores, softmax and context follow each other.
func (f *flashTile) keys(k, v *headRows, b, g, k0, n int, buf []float32) {
	s := f.s
	kt, buf := cut(buf, roomy(s.QK)*attnStride) // (QK, n)
	vs := spaced(s.VO)
	vc, buf := cut(buf, attnKeys*vs) // (n, VO)
	tail := current.vecOps.block.dotsTail(s.VO)
	vt, buf := cut(buf, tail*attnStride) // (tail, n)
	k.tile(buf, b, g, k0, n, s.QK)
	turned(kt, buf, n, s.QK)
	v.tile(vc, b, g, k0, n, s.VO)
	if tail > 0 {
		transposeInto(vt, attnStride, vc[s.VO-tail:], vs, n, tail)
	}
	for tile := 0; tile < f.rows; tile += f.each {
		rows := min(f.each, f.rows-tile)
		panels := ceil(rows, current.vecOps.block.rows)
		for p := range panels {
			lo, hi := span(rows, panels, p)
			f.panel(tile+lo, tile+hi, k0, n, keysAtHand{kt, vc, vt, buf, tail})
		}
	}
}

// keysAtHand is keys and values as a panel of queries takes them, and room for its scores.
type keysAtHand struct {
	kt, vc, vt, sc []float32
	tail           int // columns of vt
}

// panel takes n keys from k0 into rows lo to hi.
func (f *flashTile) panel(lo, hi, k0, n int, k keysAtHand) {
	s, vs := f.s, spaced(f.s.VO)
	t, last := f.t0+lo/s.R, f.t0+(hi-1)/s.R
	from, to := f.within(t, last, k0, n)
	width := to - from
	if width == 0 {
		return
	}
	done := f.a != nil && f.starts == nil && f.end(last) <= k0+n // no more keys after these
	if done {
		f.a.ctx.fetch((f.b*s.T+t)*s.G*s.R*s.VO+f.g*s.R*s.VO, last-t+1, s.R*s.VO, s.G*s.R*s.VO)
	}
	sc := k.sc[:(hi-lo)*attnStride]
	mulRoomy(f.t, sc, attnStride, f.q[lo*s.QK:], s.QK, 1, k.kt[from:], attnStride, hi-lo, s.QK, width, false) // (hi-lo, width)
	f.cap(sc, hi-lo, width)
	f.hide(sc, f.t0, lo, hi-lo, k0+from, width)
	vo, add := f.wide, f.first(t) < k0
	if !add {
		vo = 0 // no context yet
	}
	o := f.o[lo*f.wide:]
	current.vecOps.softmax(sc, o, f.state[2*lo:2*hi], width, attnStride, vo)
	mulRoomy(f.t, o, f.wide, sc, attnStride, 1, k.vc[from*vs:], vs, hi-lo, width, s.VO-k.tail, add) // (hi-lo, VO)
	mulTail(f.t, o, f.wide, sc, k.vt[min(from, len(k.vt)):], hi-lo, width, s.VO, k.tail, add)
	if done {
		f.put(lo, hi)
	}
}

// cap takes n rows of scores through the soft cap.
func (f *flashTile) cap(sc []float32, n, width int) {
	if f.s.SoftCap == 0 {
		return
	}
	c := f.s.capped()
	for i := range n {
		row := sc[i*attnStride:][:width]
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
