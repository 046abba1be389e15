package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestPagedAttention: sequences in pages that lie anywhere give what whole passes
// over each of them give, whatever is in the batch beside them.
func TestPagedAttention(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		rng := rand.New(rand.NewPCG(7, 7))
		for _, s := range []AttnShape{{G: 2, R: 3, QK: 6, VO: 5, Scale: 0.4}, {G: 1, R: 1, QK: 32, VO: 37, Scale: 0.2}, {G: 2, R: 40, QK: 8, VO: 4, Scale: 0.3},
			{G: 2, R: 2, QK: 6, VO: 5, Scale: 0.4, Window: 11, SoftCap: 1.5}, {G: 1, R: 20, QK: 8, VO: 8, Scale: 0.3, Window: 3}} {
			const page, pages = 8, 24
			s.Causal, s.T = true, 1
			order := rng.Perm(pages)
			k, v := make([]float32, pages*s.G*page*s.QK), make([]float32, pages*s.G*page*s.VO)
			// Each sequence is read in these pieces, one of each sequence a step.
			pieces := [][]int{{5, 1, 30}, {1, 1, 1}, {17, 20, 1}, {40}}
			whole := make([][]float32, len(pieces))
			got := make([][]float32, len(pieces))
			seqs := make([]Span, len(pieces))
			for i, ns := range pieces {
				total := 0
				for _, n := range ns {
					total += n
				}
				whole[i] = make([]float32, total*s.Width())
				for j := range whole[i] {
					whole[i][j] = float32(rng.NormFloat64())
				}
				for range (total + page - 1) / page {
					seqs[i].Pages = append(seqs[i].Pages, int32(order[0]))
					order = order[1:]
				}
			}
			for step := range 3 {
				var qkv []float32
				var spans []Span
				rows := 1 // a row of nobody comes first
				qkv = append(qkv, make([]float32, s.Width())...)
				var of []int
				for i, ns := range pieces {
					if step >= len(ns) {
						continue
					}
					sp := seqs[i]
					sp.Row, sp.N = rows, ns[step]
					qkv = append(qkv, whole[i][sp.Pos*s.Width():][:sp.N*s.Width()]...)
					rows += sp.N
					spans, of = append(spans, sp), append(of, i)
					seqs[i].Pos += sp.N
				}
				s.B = rows
				ctx := make([]float32, rows*s.G*s.R*s.VO)
				PagedAttention(p, ctx, qkv, k, v, s, page, spans)
				for j, sp := range spans {
					w := s.G * s.R * s.VO
					got[of[j]] = append(got[of[j]], ctx[sp.Row*w:][:sp.N*w]...)
				}
			}
			for i := range pieces {
				one := s
				one.B, one.T = 1, len(whole[i])/s.Width()
				want := make([]float32, one.T*s.G*s.R*s.VO)
				AttentionForward(p, Rows{F32: want}, nil, Rows{F32: whole[i]}, nil, one)
				for j := range want {
					if d := got[i][j] - want[j]; d > 2e-5 || d < -2e-5 { // rounding of sums in another order
						t.Fatalf("%+v sequence %d value %d: %g, expected %g", s, i, j, got[i][j], want[j])
					}
				}
			}
		}
	})
}

// pagedCache holds each of some sequences in `each` pages that follow each other.
type pagedCache struct {
	page, each int
}

// spans are s.T tokens of each of s.B sequences after pos[b] others.
func (c pagedCache) spans(s AttnShape, pos []int32) []Span {
	spans := make([]Span, s.B)
	for b := range spans {
		spans[b] = Span{Row: b * s.T, N: s.T, Pos: int(pos[b])}
		for i := range c.each {
			spans[b].Pages = append(spans[b].Pages, int32(b*c.each+i))
		}
	}
	return spans
}
