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
}

// Width is the number of columns of a row of q, k and v.
func (s *AttnShape) Width() int { return s.G * ((s.R+1)*s.QK + s.VO) }

func (s *AttnShape) qCol(g, r int) int { return (g*s.R + r) * s.QK }
func (s *AttnShape) kCol(g int) int    { return (s.G*s.R + g) * s.QK }
func (s *AttnShape) vCol(g int) int    { return s.G*(s.R+1)*s.QK + g*s.VO }

func (s *AttnShape) check() {
	if s.B < 0 || s.T < 0 || s.G <= 0 || s.R <= 0 || s.QK <= 0 || s.VO <= 0 {
		panic(badShape)
	}
}

const (
	attnRows = 64 // query rows of a tile, all R heads of a K/V head together
	attnKeys = 64 // keys of a tile
)

// tokens is the number of query tokens of a tile.
func (s *AttnShape) tokens() int { return min(s.T, max(1, attnRows/s.R)) }

// tiles is the number of query tiles of a sequence.
func (s *AttnShape) tiles() int { return (s.T + s.tokens() - 1) / s.tokens() }

// seen is how many of n keys from k0 token t sees.
func (s *AttnShape) seen(t, k0, n int) int {
	if !s.Causal {
		return n
	}
	return max(0, min(n, t+1-k0))
}

type attnArgs struct {
	p             *Pool
	ctx, lse, qkv []float32
	s             AttnShape
}

// gather packs the rows (t, r) of n tokens from t0 and the R heads of g, each w
// wide and starting at column col of rows stride apart, to dst [n·R, w].
func gather(dst, src []float32, n, R, w, stride int) {
	for t := range n {
		copy(dst[t*R*w:][:R*w], src[t*stride:])
	}
}

// view is w columns from col of the rows of tokens t0..t0+n-1 of sequence b.
func (s *AttnShape) view(qkv []float32, b, t0, n, col, w int) Matrix {
	stride := s.Width()
	return Matrix{Data: qkv[(b*s.T+t0)*stride+col:], Rows: n, Cols: w, Stride: stride}
}

// Each chunk is one query tile of one K/V head, the later tiles first: under a
// causal mask they are the longer ones.
var attnLoop = newLoop(func(a *attnArgs, worker, chunk int) {
	s := &a.s
	tiles, tq := s.tiles(), s.tokens()
	heads := s.B * s.G
	b, g := chunk%heads/s.G, chunk%heads%s.G
	t0 := (tiles - 1 - chunk/heads) * tq
	n := min(tq, s.T-t0)
	rows := n * s.R

	buf := a.p.Scratch(worker, rows*(s.QK+s.VO+attnKeys+2))
	q, buf := cut(buf, rows*s.QK)
	o, buf := cut(buf, rows*s.VO)
	state, buf := cut(buf, 2*rows)

	gather(q, a.qkv[(b*s.T+t0)*s.Width()+s.qCol(g, 0):], n, s.R, s.QK, s.Width())
	current.verbs.affine(q, q, s.Scale, 0)
	freshSoftmax(state)
	keys := s.T
	if s.Causal {
		keys = t0 + n
	}
	for k0 := 0; k0 < keys; k0 += attnKeys {
		nk := min(attnKeys, keys-k0)
		sc := Mat(buf[:rows*nk], rows, nk)
		matTile(a.p, worker, sc, Mat(q, rows, s.QK), s.view(a.qkv, b, k0, nk, s.kCol(g), s.QK), Product{TransB: true})
		for i := range rows {
			row := sc.Data[i*nk:][:nk]
			seen := s.seen(t0+i/s.R, k0, nk)
			clear(row[seen:])
			if seen > 0 {
				current.verbs.step(row[:seen], o[i*s.VO:][:s.VO], softmaxState(state, i))
			}
		}
		matTile(a.p, worker, Mat(o, rows, s.VO), sc, s.view(a.qkv, b, k0, nk, s.vCol(g), s.VO), Product{Accumulate: k0 > 0})
	}
	for i := range rows {
		t, h := t0+i/s.R, g*s.R+i%s.R
		dst := a.ctx[((b*s.T+t)*s.G*s.R+h)*s.VO:][:s.VO]
		peak, sum := state[2*i], state[2*i+1]
		current.verbs.affine(dst, o[i*s.VO:], 1/sum, 0)
		a.lse[(b*s.G*s.R+h)*s.T+t] = peak + float32(math.Log(float64(sum)))
	}
})

func cut(buf []float32, n int) (head, rest []float32) { return buf[:n:n], buf[n:] }

// freshSoftmax and softmaxState keep the online softmax's state of each row: the
// peak so far and the sum of exp(score - peak).
func freshSoftmax(state []float32) {
	for i := 0; i < len(state); i += 2 {
		state[i], state[i+1] = float32(math.Inf(-1)), 0
	}
}

func softmaxState(state []float32, i int) *[2]float32 { return (*[2]float32)(state[2*i:]) }

// softmaxStep takes a row of scores into an online softmax: the scores become
// exp(score - peak) under the new peak, and what was summed under the old one, in
// the state and in o, is scaled to the new.
func softmaxStep(row, o []float32, state *[2]float32) {
	old := state[0]
	top := max(old, maximumRow(row))
	sum := expSumRow(row, row, top)
	if top != old {
		f := float32(math.Exp(float64(old - top)))
		for i := range o {
			o[i] *= f
		}
		state[0], state[1] = top, state[1]*f
	}
	state[1] += sum
}

// AttentionForward computes, for every query head, ctx = softmax(Scale·q·kᵀ)·v,
// causal if the shape says so, and keeps lse, the logarithm of each softmax's
// denominator, for the backward pass. qkv is [B·T, Width] (see AttnShape), ctx is
// [B·T, G·R·VO] (head-major), lse is [B, G·R, T].
//
// Scores exist a tile at a time, with the softmax taken online; tiles above the
// diagonal are skipped; the R query heads of a K/V head go through together.
// Source: Dao et al., FlashAttention, https://arxiv.org/abs/2205.14135.
func AttentionForward(p *Pool, ctx, lse, qkv []float32, s AttnShape) {
	s.check()
	need(ctx, s.B*s.T*s.G*s.R*s.VO)
	need(lse, s.B*s.G*s.R*s.T)
	need(qkv, s.B*s.T*s.Width())
	if s.T > 0 {
		attnLoop.run(p, s.B*s.G*s.tiles(), attnArgs{p, ctx, lse, qkv, s})
	}
}
