package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sees is the rule of AttnShape and AttentionForward, word by word.
func sees(s AttnShape, starts []int32, t, u int) bool {
	if s.Causal && u > t || starts != nil && int(starts[t]) > u {
		return false
	}
	if !s.Causal && starts != nil && int(starts[u]) > t {
		return false
	}
	switch {
	case s.Window == 0:
		return true
	case s.Causal:
		return u > t-s.Window
	}
	return max(u-t, t-u) <= s.Window/2
}

// attentionSlow is attention by its definition, in float64: ctx and lse.
func attentionSlow(qkv []float64, starts []int32, s AttnShape) (ctx, lse []float64) {
	H := s.G * s.R
	ctx, lse = make([]float64, s.B*s.T*H*s.VO), make([]float64, s.B*H*s.T)
	eachQuery(qkv, starts, s, func(b, h, t int, prob, _ []float64, sum float64) {
		lse[(b*H+h)*s.T+t] = math.Log(sum)
		c := ctx[((b*s.T+t)*H+h)*s.VO:][:s.VO]
		for u, p := range prob {
			if p > 0 {
				for j, v := range slowV(qkv, s, b, h, u) {
					c[j] += p * v
				}
			}
		}
	})
	return ctx, lse
}

// attentionSlowBack is its gradient, by the chain rule.
func attentionSlowBack(qkv []float64, starts []int32, s AttnShape, dctx []float64) []float64 {
	H, d := s.G*s.R, make([]float64, len(qkv))
	ds := make([]float64, s.T)
	eachQuery(qkv, starts, s, func(b, h, t int, prob, slope []float64, _ float64) {
		dc := dctx[((b*s.T+t)*H+h)*s.VO:][:s.VO]
		var mean float64
		for u, p := range prob {
			ds[u] = 0
			if p > 0 {
				v, dv := slowV(qkv, s, b, h, u), slowV(d, s, b, h, u)
				for j, x := range dc {
					ds[u] += x * v[j]
					dv[j] += p * x
				}
				mean += p * ds[u]
			}
		}
		q, dq := slowQ(qkv, s, b, h, t), slowQ(d, s, b, h, t)
		for u, p := range prob {
			if p > 0 {
				g := p * (ds[u] - mean) * slope[u]
				k, dk := slowK(qkv, s, b, h, u), slowK(d, s, b, h, u)
				for j := range q {
					dq[j] += g * k[j]
					dk[j] += g * q[j]
				}
			}
		}
	})
	return d
}

func slowRow(x []float64, s AttnShape, b, t int) []float64 { return x[(b*s.T+t)*s.Width():] }

func slowQ(x []float64, s AttnShape, b, h, t int) []float64 {
	return slowRow(x, s, b, t)[h*s.QK:][:s.QK]
}

func slowK(x []float64, s AttnShape, b, h, t int) []float64 {
	return slowRow(x, s, b, t)[(s.G*s.R+h/s.R)*s.QK:][:s.QK]
}

func slowV(x []float64, s AttnShape, b, h, t int) []float64 {
	return slowRow(x, s, b, t)[s.G*(s.R+1)*s.QK+h/s.R*s.VO:][:s.VO]
}

// eachQuery calls f with the probabilities that each query gives its keys, 0 for
// those it does not see, the derivative of each score by q·k, and the softmax's
// denominator; queries that see nothing are left out.
func eachQuery(qkv []float64, starts []int32, s AttnShape, f func(b, h, t int, prob, slope []float64, sum float64)) {
	prob, slope := make([]float64, s.T), make([]float64, s.T)
	for b := range s.B {
		var own []int32
		if starts != nil {
			own = starts[b*s.T:][:s.T]
		}
		for h := range s.G * s.R {
			for t := range s.T {
				q, sum := slowQ(qkv, s, b, h, t), 0.0
				for u := range s.T {
					prob[u] = 0
					if !sees(s, own, t, u) {
						continue
					}
					var dot float64
					for j, v := range slowK(qkv, s, b, h, u) {
						dot += q[j] * v
					}
					dot *= float64(s.Scale)
					slope[u] = float64(s.Scale)
					if c := float64(s.SoftCap); c > 0 {
						th := math.Tanh(dot / c)
						dot, slope[u] = c*th, slope[u]*(1-th*th)
					}
					prob[u] = math.Exp(dot)
					sum += prob[u]
				}
				if sum == 0 {
					continue // padding
				}
				for u := range prob {
					prob[u] /= sum
				}
				f(b, h, t, prob, slope, sum)
			}
		}
	}
}

var attnShapes = []AttnShape{
	{B: 1, T: 1, G: 1, R: 1, QK: 1, VO: 1},
	{B: 2, T: 3, G: 2, R: 1, QK: 4, VO: 5},           // multi-head
	{B: 1, T: 65, G: 2, R: 1, QK: 37, VO: 61},        // one token more than a tile
	{B: 1, T: 64, G: 1, R: 2, QK: 16, VO: 16},        // whole tiles, grouped
	{B: 2, T: 71, G: 2, R: 3, QK: 8, VO: 13},         // tiles of 21 tokens
	{B: 1, T: 130, G: 1, R: 5, QK: 3, VO: 2},         // multi-query, tiles of 12 tokens
	{B: 1, T: 9, G: 1, R: 70, QK: 5, VO: 3},          // more heads than a tile has rows
	{B: 1, T: 150, G: 1, R: 1, QK: 61, VO: 37},       // three key tiles
	{B: 1, T: 150, G: 1, R: 2, QK: 34, VO: 33},       // a few columns more than vectors
	{B: 2, T: 129, G: 2, R: 1, QK: 60, VO: 36},       // so for some products only
	{B: 3, T: 33, G: 4, R: 1, QK: 12, VO: 20},        // heads enough for every thread
	{B: 1, T: 1, G: 3, R: 2, QK: 7, VO: 9, Scale: 1}, // a single token
}

func TestAttention(t *testing.T) {
	for _, s := range attnShapes {
		for _, causal := range []bool{true, false} {
			s.Causal = causal
			if s.Scale == 0 {
				s.Scale = float32(1 / math.Sqrt(float64(s.QK)))
			}
			H := s.G * s.R
			conform(t, op{
				name: fmt.Sprintf("%+v", s), in: []int{s.B * s.T * s.Width()}, out: []int{s.B * s.T * H * s.VO, s.B * H * s.T},
				tol: 5e-6, gradTol: 2e-5,
				forward: func(p *Pool, out, in [][]float32) {
					AttentionForward(p, Rows{F32: out[0]}, out[1], Rows{F32: in[0]}, nil, s)
				},
				reference: func(in [][]float64) [][]float64 {
					ctx, lse := attentionSlow(in[0], nil, s)
					return [][]float64{ctx, lse}
				},
				backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
					AttentionBackward(p, din[0], dout, Rows{F32: out[0]}, out[1], Rows{F32: in[0]}, nil, s)
				},
				gradient: func(in [][]float64, dout []float64) [][]float64 {
					return [][]float64{attentionSlowBack(in[0], nil, s, dout)}
				},
				diff: []int{0},
			})
		}
	}
}

// Scores of ±500 overflow exp unless the peak is taken out first.
func TestAttentionLargeScores(t *testing.T) {
	s := AttnShape{B: 1, T: 140, G: 1, R: 1, QK: 4, VO: 3, Scale: 1, Causal: true}
	r := rand.New(rand.NewPCG(1, 2))
	qkv := make([]float32, s.T*s.Width())
	for i := range qkv {
		qkv[i] = float32(r.NormFloat64() * 8)
	}
	want := make([]float64, s.T*s.VO) // attentionSlow overflows here, so with the peak
	for t := range s.T {
		dot, top := make([]float64, t+1), math.Inf(-1)
		for u := range dot {
			for j := range s.QK {
				dot[u] += float64(qkv[t*s.Width()+j]) * float64(qkv[u*s.Width()+s.QK+j])
			}
			top = max(top, dot[u])
		}
		var sum float64
		for u := range dot {
			sum += math.Exp(dot[u] - top)
		}
		for u := range dot {
			for j := range s.VO {
				want[t*s.VO+j] += math.Exp(dot[u]-top) / sum * float64(qkv[u*s.Width()+2*s.QK+j])
			}
		}
	}
	eachPath(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		ctx, lse, dqkv := make([]float32, len(want)), make([]float32, s.T), make([]float32, len(qkv))
		AttentionForward(p, Rows{F32: ctx}, lse, Rows{F32: qkv}, nil, s)
		for i, w := range want {
			// A score of 500 is off by 500·2⁻²⁴ or so, which is a relative error of exp.
			if math.Abs(float64(ctx[i])-w) > 2e-4*max(1, math.Abs(w)) {
				t.Fatalf("ctx[%d] = %g, want %g", i, ctx[i], w)
			}
		}
		AttentionBackward(p, dqkv, ctx, Rows{F32: ctx}, lse, Rows{F32: qkv}, nil, s)
		if i := slices.IndexFunc(dqkv, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }); i >= 0 {
			t.Fatalf("dqkv[%d] = %g", i, dqkv[i])
		}
	})
}

// The two ways to split the backward pass must give the same bits.
func TestAttentionBackwardSplit(t *testing.T) {
	s := AttnShape{B: 1, T: 150, G: 2, R: 2, QK: 34, VO: 37, Scale: 0.3, Causal: true}
	r := rand.New(rand.NewPCG(3, 4))
	qkv, dctx := make([]float32, s.T*s.Width()), make([]float32, s.T*s.G*s.R*s.VO)
	for _, x := range [][]float32{qkv, dctx} {
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
	}
	eachPath(t, func(t *testing.T) {
		var want []float32
		for _, threads := range []int{1, 2, 7, 64} {
			p := NewPool(threads)
			ctx, lse, dqkv := make([]float32, len(dctx)), make([]float32, s.G*s.R*s.T), make([]float32, len(qkv))
			AttentionForward(p, Rows{F32: ctx}, lse, Rows{F32: qkv}, nil, s)
			AttentionBackward(p, dqkv, dctx, Rows{F32: ctx}, lse, Rows{F32: qkv}, nil, s)
			p.Close()
			if want == nil {
				want = dqkv
			}
			if !slices.Equal(want, dqkv) {
				t.Fatalf("%d threads give other bits than one", threads)
			}
		}
	})
}

// A sequence fed to the cache in pieces must give the rows of AttentionForward.
func TestPagedAttentionInPieces(t *testing.T) {
	for _, s := range attnShapes {
		s.Causal = true
		if s.Scale == 0 {
			s.Scale = float32(1 / math.Sqrt(float64(s.QK)))
		}
		const page = 8
		w, cw, each := s.Width(), s.G*s.R*s.VO, ceil(s.T+3, page)
		r := rand.New(rand.NewPCG(5, uint64(s.T)))
		qkv := make([]float32, s.B*s.T*w)
		for i := range qkv {
			qkv[i] = float32(r.NormFloat64())
		}
		want, _ := attentionSlow(doubles([][]float32{qkv})[0], nil, s)
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			eachPath(t, func(t *testing.T) {
				p := NewPool(2)
				defer p.Close()
				cache := newBuffers(t, []int{s.B * each * s.G * page * s.QK, s.B * each * s.G * page * s.VO})
				cache.set(nan32) // what was never appended must not be read
				pos := make([]int32, s.B)
				for at := 0; at < s.T; {
					part := s
					part.T = min(s.T-at, []int{s.T/2 + 1, 1, 1, 2}[min(3, at*3/s.T+at%2)])
					buf := newBuffers(t, []int{s.B * part.T * w, s.B * part.T * cw})
					rows, ctx := buf.s[0], buf.s[1]
					for b := range s.B {
						copy(rows[b*part.T*w:][:part.T*w], qkv[(b*s.T+at)*w:])
						pos[b] = int32(at)
					}
					spans := pagedCache{page: page, each: each}.spans(part, pos)
					run := func() {
						PagedAttention(p, ctx, rows, cache.s[0], cache.s[1], part, page, spans)
					}
					run()
					if n := allocations(2, run); n > 0 && !raceDetector {
						t.Fatalf("%v allocations, want 0", n)
					}
					cache.check(t, "cache")
					buf.check(t, "rows or ctx")
					for i, got := range ctx {
						b, rest := i/(part.T*cw), i%(part.T*cw)
						if v := want[(b*s.T+at)*cw+rest]; !(math.Abs(float64(got)-v) <= 1e-5*max(1, math.Abs(v))) {
							t.Fatalf("token %d: ctx[%d] = %g, want %g", at, i, got, v)
						}
					}
					at += part.T
				}
			})
		})
	}
}

// More keys than a part has are read in parts that are joined; spans of one call need
// different numbers of them, and get the bits that they get alone.
func TestPagedAttentionLong(t *testing.T) {
	s := AttnShape{B: 1, T: 2*splitKeys + 70, G: 2, R: 2, QK: 6, VO: 5, Scale: 0.8, Causal: true}
	r := rand.New(rand.NewPCG(11, 11))
	qkv := make([]float32, s.T*s.Width())
	for i := range qkv {
		qkv[i] = float32(r.NormFloat64())
	}
	want, _ := attentionSlow(doubles([][]float32{qkv})[0], nil, s)
	w, cw := s.Width(), s.G*s.R*s.VO
	const page = 64
	c := pagedCache{page: page, each: ceil(s.T, page)}
	eachPath(t, func(t *testing.T) {
		p := NewPool(3)
		defer p.Close()
		for _, tokens := range []int{1, 3} {
			k, v := make([]float32, 3*c.each*s.G*page*s.QK), make([]float32, 3*c.each*s.G*page*s.VO)
			pos := []int32{int32(s.T - tokens), splitKeys - 1, splitKeys + 9}
			one := s
			one.B, one.T = len(pos), tokens
			spans := c.spans(one, pos)
			for _, sp := range spans { // each holds the whole text, and reads a part of it
				PagedAttention(p, make([]float32, s.T*cw), qkv, k, v, s, page, []Span{{N: s.T, Pages: sp.Pages}})
			}
			rows, ctx, alone := make([]float32, len(pos)*tokens*w), make([]float32, len(pos)*tokens*cw), make([]float32, len(pos)*tokens*cw)
			for b, at := range pos {
				copy(rows[b*tokens*w:][:tokens*w], qkv[int(at)*w:])
			}
			PagedAttention(p, ctx, rows, k, v, one, page, spans)
			for i := range spans {
				PagedAttention(p, alone, rows, k, v, one, page, spans[i:i+1])
			}
			if !slices.Equal(ctx, alone) {
				t.Errorf("%d tokens: a span beside others has other bits than alone", tokens)
			}
			for i, got := range ctx {
				b, rest := i/(tokens*cw), i%(tokens*cw)
				if v := want[int(pos[b])*cw+rest]; !(math.Abs(float64(got)-v) <= 1e-5*max(1, math.Abs(v))) {
					t.Fatalf("%d tokens: sequence %d: ctx[%d] = %g, want %g", tokens, b, rest, got, v)
				}
			}
		}
	})
}
