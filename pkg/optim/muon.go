package optim

import (
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// Muon (https://kellerjordan.github.io/posts/muon) moves matrices by their momentum made
// orthogonal, of attention head by head, so that a head is a matrix of its own; vectors
// and tables of embeddings move by AdamW. Steps have the root mean square of AdamW's,
// 0.2·sqrt(max(rows, columns)) times the orthogonal matrix (https://arxiv.org/abs/2502.16982),
// so that AdamW's learning rates serve. State: the momentum (beta1) of every weight, and
// the second moment of what AdamW moves.
func init() { Register("muon", Rule{Slots: muonSlots, Update: muonUpdate, Momenta: true}) }

func muonSlots(set *param.Set, _ Config) []Slot {
	var rest []param.Spec
	for _, p := range set.Params {
		if !p.Decay {
			rest = append(rest, p.Spec)
		}
	}
	slots := []Slot{{"moment1.f32", set}}
	if len(rest) == 0 {
		return slots
	}
	layout, err := param.Layout(rest)
	if err != nil {
		panic("optim: parameters of a set do not make one: " + err.Error())
	}
	return append(slots, Slot{"moment2.f32", layout})
}

func muonUpdate(s *State, u Step, b *param.Block, g []float32) {
	scale, m := s.GradScale(u.Norm), s.Of(u.Set, 0, b.Name)
	for _, p := range b.Params {
		from := p.Offset - b.Offset
		g, own := g[from:][:p.Size()], m[from:][:p.Size()]
		if !p.Decay {
			args, v := s.adamW(u, p), s.Of(u.Set, 1, b.Name)[from:][:p.Size()]
			s.edit(u, p, 1, func(w []float32, at int) {
				kernel.AdamWStep(u.Pool, w, g[at:][:len(w)], own[at:][:len(w)], v[at:][:len(w)], args)
			})
			continue
		}
		// Nesterov's step: the momentum of the next one.
		kernel.WeightedSum(u.Pool, own, own, float32(s.Beta1), g, scale)
		rate := u.rate(p)
		rows, cols := heads(p)
		size := 0.2 * math.Sqrt(float64(max(rows, cols)))
		s.edit(u, p, rows*cols, func(w []float32, at int) {
			step := make([]float32, len(w))
			kernel.WeightedSum(u.Pool, step, own[at:][:len(w)], float32(s.Beta1), g[at:][:len(w)], scale)
			for i := 0; i < len(w); i += rows * cols {
				orthogonalize(u.Pool, step[i:i+rows*cols], rows, cols)
			}
			kernel.WeightedSum(u.Pool, w, w, float32(1-rate*s.WeightDecay), step, float32(-rate*size))
		})
	}
}

// heads is the shape of the matrices that a parameter holds one after the other: one for
// each index of the dimensions that stand before units of a head.
func heads(p *param.Param) (rows, cols int) {
	cols = p.Dims[len(p.Dims)-1].Size
	rows = p.Size() / cols
	for i, d := range p.Dims {
		if d.Per != "" {
			for _, before := range p.Dims[:i] {
				rows /= before.Size
			}
			break
		}
	}
	return rows, cols
}

// orthogonalize replaces x, rows by cols, by the nearest matrix whose singular values are
// one, to about a third: five steps of Newton and Schulz with the coefficients of Muon's
// authors, X = a·X + (b·A + c·A²)·X with A = X·Xᵀ, on the side that has fewer rows.
func orthogonalize(pool *kernel.Pool, x []float32, rows, cols int) {
	norm := math.Sqrt(kernel.SumSquares(pool, x))
	kernel.Scale(pool, x, x, float32(1/(norm+1e-7)))
	n := min(rows, cols)
	m, next := kernel.Mat(x, rows, cols), kernel.Mat(make([]float32, len(x)), rows, cols)
	a, b := kernel.Mat(make([]float32, n*n), n, n), kernel.Mat(make([]float32, n*n), n, n)
	for range 5 {
		if rows <= cols {
			kernel.MatMul(pool, a, m, m, kernel.Product{TransB: true})
		} else {
			kernel.MatMul(pool, a, m, m, kernel.Product{TransA: true})
		}
		kernel.MatMul(pool, b, a, a, kernel.Product{})
		kernel.WeightedSum(pool, b.Data, a.Data, -4.7750, b.Data, 2.0315)
		if rows <= cols {
			kernel.MatMul(pool, next, b, m, kernel.Product{})
		} else {
			kernel.MatMul(pool, next, m, b, kernel.Product{})
		}
		kernel.WeightedSum(pool, x, x, 3.4445, next.Data, 1)
	}
}
