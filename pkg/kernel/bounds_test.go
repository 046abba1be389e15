package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// packed makes the starts of B sequences of T tokens from the lengths of their
// documents; a negative length is so much padding, and what is left at the end is
// padding as well.
func packed(T int, documents ...[]int) (starts []int32) {
	for _, lengths := range documents {
		at := 0
		for _, n := range lengths {
			for i := range max(n, -n) {
				if n > 0 {
					starts = append(starts, int32(at))
				} else {
					starts = append(starts, int32(at+i+1))
				}
			}
			at += max(n, -n)
		}
		for range T - at {
			starts = append(starts, int32(T))
		}
	}
	return starts
}

// boundCases meet in one tile what bounds can do: documents that begin and end
// inside tiles and on their edges, padding before, between and after them, a
// sequence of padding only, windows below and beyond a tile.
var boundCases = []struct {
	s      AttnShape
	starts []int32
}{
	{AttnShape{B: 1, T: 5, G: 1, R: 1, QK: 3, VO: 2}, packed(5, []int{2, 3})},
	{AttnShape{B: 2, T: 150, G: 2, R: 1, QK: 37, VO: 61}, packed(150, []int{128, 22}, []int{40, 1, 60})},
	{AttnShape{B: 1, T: 290, G: 1, R: 3, QK: 17, VO: 33}, packed(290, []int{-3, 60, 100, -5, 100})},
	{AttnShape{B: 2, T: 131, G: 1, R: 2, QK: 34, VO: 16}, packed(131, []int{}, []int{131})},
	{AttnShape{B: 1, T: 270, G: 2, R: 1, QK: 16, VO: 18, Window: 140}, nil},
	{AttnShape{B: 1, T: 300, G: 1, R: 2, QK: 9, VO: 7, Window: 20}, nil},
	{AttnShape{B: 1, T: 40, G: 2, R: 2, QK: 8, VO: 8, Window: 1}, nil},
	{AttnShape{B: 1, T: 140, G: 1, R: 2, QK: 12, VO: 21, SoftCap: 1.5}, nil},
	{AttnShape{B: 1, T: 300, G: 1, R: 1, QK: 61, VO: 34, Window: 50, SoftCap: 5}, packed(300, []int{10, 160, -1, 90})},
	{AttnShape{B: 2, T: 64, G: 1, R: 70, QK: 5, VO: 3, Window: 9}, packed(64, []int{30, 34}, []int{-10, 5})},
}

func TestAttentionBounds(t *testing.T) {
	for _, c := range boundCases {
		for _, causal := range []bool{true, false} {
			s, starts := c.s, c.starts
			s.Causal, s.Scale = causal, float32(1/math.Sqrt(float64(s.QK)))
			H, gradTol := s.G*s.R, 2e-5
			if s.R > 8 {
				gradTol = 1e-4 // a key's gradient sums hundreds of terms, one after the other
			}
			conform(t, op{
				name: fmt.Sprintf("%+v", s), in: []int{s.B * s.T * s.Width()}, out: []int{s.B * s.T * H * s.VO, s.B * H * s.T},
				tol: 5e-6, gradTol: gradTol,
				forward: func(p *Pool, out, in [][]float32) {
					AttentionForward(p, Rows{F32: out[0]}, out[1], Rows{F32: in[0]}, starts, s)
				},
				reference: func(in [][]float64) [][]float64 {
					ctx, lse := attentionSlow(in[0], starts, s)
					return [][]float64{ctx, lse}
				},
				backward: func(p *Pool, din, in, out [][]float32, dout []float32) {
					AttentionBackward(p, din[0], dout, Rows{F32: out[0]}, out[1], Rows{F32: in[0]}, starts, s)
				},
				gradient: func(in [][]float64, dout []float64) [][]float64 {
					return [][]float64{attentionSlowBack(in[0], starts, s, dout)}
				},
				diff: []int{0},
			})
		}
	}
}

// Documents packed in one sequence give what each gives by itself.
func TestAttentionPackedEqualsSeparate(t *testing.T) {
	lengths := []int{70, 1, 129, 56}
	s := AttnShape{B: 1, T: 256, G: 2, R: 2, QK: 18, VO: 25, Scale: 0.3, SoftCap: 4}
	r := rand.New(rand.NewPCG(21, 4))
	qkv, dctx := make([]float32, s.T*s.Width()), make([]float32, s.T*s.G*s.R*s.VO)
	for _, x := range [][]float32{qkv, dctx} {
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
	}
	run := func(p *Pool, qkv, dctx []float32, starts []int32, s AttnShape) (ctx, dqkv []float32) {
		ctx, dqkv = make([]float32, len(dctx)), make([]float32, len(qkv))
		lse := make([]float32, s.G*s.R*s.T)
		AttentionForward(p, Rows{F32: ctx}, lse, Rows{F32: qkv}, starts, s)
		AttentionBackward(p, dqkv, dctx, Rows{F32: ctx}, lse, Rows{F32: qkv}, starts, s)
		return ctx, dqkv
	}
	eachPath(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		for _, causal := range []bool{true, false} {
			for _, window := range []int{0, 31} {
				s.Causal, s.Window = causal, window
				ctx, dqkv := run(p, qkv, dctx, packed(s.T, lengths), s)
				at := 0
				for _, n := range lengths {
					one := s
					one.T = n
					w, cw := s.Width(), s.G*s.R*s.VO
					wantCtx, wantD := run(p, qkv[at*w:][:n*w], dctx[at*cw:][:n*cw], nil, one)
					if d := farthest(ctx[at*cw:][:n*cw], wantCtx); d > 2e-6 {
						t.Errorf("causal %t window %d: ctx of the document of %d tokens differs by %g", causal, window, n, d)
					}
					if d := farthest(dqkv[at*w:][:n*w], wantD); d > 5e-6 {
						t.Errorf("causal %t window %d: gradient of the document of %d tokens differs by %g", causal, window, n, d)
					}
					at += n
				}
			}
		}
	})
}

func farthest(a, b []float32) (d float64) {
	for i := range a {
		d = max(d, math.Abs(float64(a[i]-b[i])))
	}
	return d
}

// The two ways to split the backward pass give the same bits within bounds, too.
func TestAttentionBoundsSplit(t *testing.T) {
	s := AttnShape{B: 1, T: 300, G: 2, R: 2, QK: 34, VO: 37, Scale: 0.3, Window: 90, SoftCap: 3}
	starts := packed(s.T, []int{-4, 100, 90, -30, 40})
	r := rand.New(rand.NewPCG(3, 4))
	qkv, dctx := make([]float32, s.T*s.Width()), make([]float32, s.T*s.G*s.R*s.VO)
	for _, x := range [][]float32{qkv, dctx} {
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
	}
	eachPath(t, func(t *testing.T) {
		for _, causal := range []bool{true, false} {
			s.Causal = causal
			var want []float32
			for _, threads := range []int{1, 2, 7} {
				p := NewPool(threads)
				ctx, lse, dqkv := make([]float32, len(dctx)), make([]float32, s.G*s.R*s.T), make([]float32, len(qkv))
				AttentionForward(p, Rows{F32: ctx}, lse, Rows{F32: qkv}, starts, s)
				AttentionBackward(p, dqkv, dctx, Rows{F32: ctx}, lse, Rows{F32: qkv}, starts, s)
				p.Close()
				if want == nil {
					want = dqkv
				}
				if !slices.Equal(want, dqkv) {
					t.Fatalf("causal %t: %d threads give other bits than one", causal, threads)
				}
			}
		}
	})
}

// Decoding within a window, through a soft cap, gives the rows of a whole pass.
func TestPagedAttentionBounds(t *testing.T) {
	for _, s := range []AttnShape{
		{B: 2, T: 200, G: 2, R: 2, QK: 6, VO: 5, Window: 33, SoftCap: 2},
		{B: 1, T: 2*splitKeys + 70, G: 1, R: 3, QK: 17, VO: 9, Window: splitKeys + 40},
		{B: 1, T: 60, G: 1, R: 1, QK: 8, VO: 8, Window: 1},
	} {
		s.Causal, s.Scale = true, 0.5
		r := rand.New(rand.NewPCG(8, uint64(s.T)))
		qkv := make([]float32, s.B*s.T*s.Width())
		for i := range qkv {
			qkv[i] = float32(r.NormFloat64())
		}
		want, _ := attentionSlow(doubles([][]float32{qkv})[0], nil, s)
		w, cw := s.Width(), s.G*s.R*s.VO
		eachPath(t, func(t *testing.T) {
			p := NewPool(2)
			defer p.Close()
			const page = 16
			c := pagedCache{page: page, each: ceil(s.T, page)}
			k, v := make([]float32, s.B*c.each*s.G*page*s.QK), make([]float32, s.B*c.each*s.G*page*s.VO)
			PagedAttention(p, make([]float32, s.B*s.T*cw), qkv, k, v, s, page, c.spans(s, make([]int32, s.B)))
			for _, n := range []int{1, 2, 30} {
				for _, at := range []int{0, s.T / 3, s.T - n} {
					part, pos := s, make([]int32, s.B)
					part.T = n
					rows, ctx := make([]float32, s.B*n*w), make([]float32, s.B*n*cw)
					for b := range s.B {
						pos[b] = int32(at)
						copy(rows[b*n*w:][:n*w], qkv[(b*s.T+at)*w:])
					}
					PagedAttention(p, ctx, rows, k, v, part, page, c.spans(part, pos))
					for i, got := range ctx {
						b, rest := i/(n*cw), i%(n*cw)
						if v := want[(b*s.T+at)*cw+rest]; !(math.Abs(float64(got)-v) <= 1e-5*max(1, math.Abs(v))) {
							t.Fatalf("T %d: %d tokens at %d: ctx[%d] = %g, want %g", s.T, n, at, i, got, v)
						}
					}
				}
			}
		})
	}
}

func TestAttentionRefusesStarts(t *testing.T) {
	s := AttnShape{B: 1, T: 4, G: 1, R: 1, QK: 2, VO: 2}
	for name, starts := range map[string][]int32{"falling": {0, 1, 0, 0}, "negative": {-1, 0, 0, 0}, "beyond the end": {0, 0, 0, 5}, "short": {0, 0, 0}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != badStarts {
					t.Errorf("panicked with %v", r)
				}
			}()
			p := NewPool(1)
			defer p.Close()
			AttentionForward(p, Rows{F32: make([]float32, 8)}, nil, Rows{F32: make([]float32, 4*s.Width())}, starts, s)
			t.Error("no panic")
		})
	}
}
