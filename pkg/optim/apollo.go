package optim

import (
	"math"

	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// APOLLO (https://arxiv.org/abs/2412.05270) gives each row of a matrix, which is a unit's,
// a learning rate as AdamW would give it, found in a random projection of the row's gradient
// on optim.rank directions: R = G·P, AdamW's step R~ from moments of R only, and
//
//	W_i = (1 - lr·weight_decay)·W_i - lr·sqrt(E/rank)·(|R~_i| / |R_i|)·G_i
//
// A row of a table (of tokens, the head) rarely has a gradient that is its own, and no momentum
// of one carries into a batch where it has none: there R~ is R over the root of its second
// moment only, else what the row has in every batch would be blown up to the length of what it
// had in another. The paper leaves tables to AdamW. The root makes the rows' steps as long as AdamW's, so that AdamW's learning rates serve;
// G is clipped. A matrix's whole step may be 1.01 times as long as the one before at most
// (the paper's norm-growth limiter). P is of random signs over sqrt(rank), drawn anew every
// 200 steps, the same for all matrices of a width. Vectors, and matrices whose rows are
// not longer than twice the rank, move by AdamW.
//
// State: two moments of rank numbers a row, the length of a matrix's last step, and AdamW's
// moments of the rest. Pruning a unit removes its rows of it.
func init() { Register("apollo", Rule{Slots: apolloSlots, Update: apolloUpdate}) }

const (
	apolloRenew = 200  // steps with the same projection
	apolloGrow  = 1.01 // of a matrix's step beside the one before
)

// The slots of APOLLO.
const (
	apolloRows1 = iota
	apolloRows2
	apolloLength
	apolloRest1
	apolloRest2
)

// apolloWork is what a step of APOLLO works in, kept between blocks.
type apolloWork struct {
	signs   map[int][]float32 // projections by width, rank x width
	epoch   int               // of these, from 1
	project []float32
	squares []float64
	factors []float32
}

// byRows reports whether APOLLO scales the rows of a parameter.
func (c Config) byRows(p *param.Param) bool {
	return isMatrix(p) && p.Dims[len(p.Dims)-1].Size > 2*c.Rank
}

func apolloSlots(set *param.Set, c Config) []Slot {
	var rows, lengths, rest []param.Spec
	for _, p := range set.Params {
		if !c.byRows(p) {
			rest = append(rest, p.Spec)
			continue
		}
		row, length := p.Spec, p.Spec
		row.Dims = append(append([]param.Dim(nil), p.Dims[:len(p.Dims)-1]...), param.Dim{Name: "optim.rank", Size: c.Rank})
		length.Dims, length.Role = []param.Dim{{Size: 1}}, ""
		rows, lengths = append(rows, row), append(lengths, length)
	}
	r, l, o := layout(rows), layout(lengths), layout(rest)
	return []Slot{{"rows1.f32", r}, {"rows2.f32", r}, {"length.f32", l}, {"moment1.f32", o}, {"moment2.f32", o}}
}

// layout is a set of specs that come from one.
func layout(specs []param.Spec) *param.Set {
	set, err := param.Layout(specs)
	if err != nil {
		panic("optim: parameters of a set do not make one: " + err.Error())
	}
	return set
}

func apolloUpdate(s *State, u Step, b *param.Block, g []float32) {
	var matrices, rows, rest int // of the block so far: matrices, their rows, other elements
	for _, p := range b.Params {
		from := p.Offset - b.Offset
		g := g[from:][:p.Size()]
		if !s.byRows(p) {
			m, v := s.Of(u.Set, apolloRest1, b.Name)[rest:], s.Of(u.Set, apolloRest2, b.Name)[rest:]
			args := s.adamW(u, p)
			s.edit(u, p, 1, func(w []float32, at int) {
				kernel.AdamWStep(u.Pool, w, g[at:][:len(w)], m[at:][:len(w)], v[at:][:len(w)], args)
			})
			rest += p.Size()
			continue
		}
		cols := p.Dims[len(p.Dims)-1].Size
		lo, hi := rows*s.Rank, (rows+p.Size()/cols)*s.Rank
		m, v := s.Of(u.Set, apolloRows1, b.Name)[lo:hi], s.Of(u.Set, apolloRows2, b.Name)[lo:hi]
		f, norm := s.rowFactors(u, matrix{g, m, v, cols, !p.Decay})
		rate := u.rate(p)
		limit := rate * grown(&s.Of(u.Set, apolloLength, b.Name)[matrices], norm)
		for i, x := range f {
			f[i] = float32(-limit * float64(x))
		}
		keep := float32(1)
		if p.Decay {
			keep = float32(1 - rate*s.WeightDecay)
		}
		kernel.AddScaledRows(u.Pool, weightsOf(u.Set, b, p), g, cols, keep, f, s.draws(b.Name)+uint32(from))
		matrices, rows = matrices+1, rows+len(f)
	}
}

// weightsOf is a parameter's weights as they are stored, float32 or bfloat16.
func weightsOf(set *param.Set, b *param.Block, p *param.Param) kernel.Weights {
	if half := b.Stored(set).BF16; half != nil {
		return kernel.Weights{BF16: half[p.Offset-b.Offset:][:p.Size()]}
	}
	return kernel.Weights{F32: p.In(set.Weights)}
}

// matrix is rows of cols gradients each, and their moments.
type matrix struct {
	g, m, v []float32
	cols    int
	table   bool // of tokens, or the head
}

// rowFactors updates the moments of rows by their gradients and returns what each row's
// gradient is to be multiplied by, but for the learning rate, and the norm of the product
// of all. The factors are good until the next call.
func (s *State) rowFactors(u Step, x matrix) (f []float32, norm float64) {
	g, m, v, cols := x.g, x.m, x.v, x.cols
	rows, scale := len(m)/s.Rank, s.GradScale(u.Norm)
	a := &s.apolloWork
	a.project, a.squares, a.factors = room(a.project, len(m)), room(a.squares, rows), room(a.factors, rows)
	r := a.project
	kernel.ProjectRows(u.Pool, r, a.squares, g, s.projection(cols), cols, scale)
	t, root := float64(s.updates), math.Sqrt(float64(cols)/float64(s.Rank))
	c1, c2 := 1/(1-math.Pow(s.Beta1, t)), 1/(1-math.Pow(s.Beta2, t))
	b1, b2 := float32(s.Beta1), float32(s.Beta2)
	for i := range rows {
		var of, to float64 // squares of R's row and of R~'s
		for j := i * s.Rank; j < (i+1)*s.Rank; j++ {
			m[j], v[j] = b1*m[j]+(1-b1)*r[j], b2*v[j]+(1-b2)*r[j]*r[j]
			step := float64(m[j]) * c1
			if x.table {
				step = float64(r[j])
			}
			step /= math.Sqrt(float64(v[j])*c2) + s.Eps
			of, to = of+float64(r[j])*float64(r[j]), to+step*step
		}
		a.factors[i] = 0
		if of > 0 {
			a.factors[i] = scale * float32(root*math.Sqrt(to/of))
		}
		norm += float64(a.factors[i]) * float64(a.factors[i]) * a.squares[i]
	}
	return a.factors, math.Sqrt(norm)
}

// grown is what a step of this norm is to be multiplied by, so that it is not much longer
// than the one before, whose length last is; it becomes that of this one.
func grown(last *float32, norm float64) float64 {
	f := 1.0
	if most := apolloGrow * float64(*last); most > 0 && norm > most {
		f = most / norm
	}
	*last = float32(f * norm)
	return f
}

// projection is the present directions for rows of a width, one after the other.
func (s *State) projection(cols int) []float32 {
	epoch := 1 + (s.updates-1)/apolloRenew
	if s.epoch != epoch {
		s.epoch, s.signs = epoch, map[int][]float32{}
	}
	if s.signs[cols] == nil {
		s.signs[cols] = signs(s.Seed, epoch, cols, s.Rank)
	}
	return s.signs[cols]
}

// signs draws rank directions of cols values: +-1/sqrt(rank), by the bits of mix.
func signs(seed uint64, epoch, cols, rank int) []float32 {
	out := make([]float32, rank*cols)
	one := float32(1 / math.Sqrt(float64(rank)))
	start := mix(mix(seed) + uint64(epoch)<<32 + uint64(cols))
	for i := range out {
		out[i] = one
		if mix(start+uint64(i))&1 == 1 {
			out[i] = -one
		}
	}
	return out
}

// room is x with n elements.
func room[T any](x []T, n int) []T {
	if cap(x) < n {
		x = make([]T, n)
	}
	return x[:n]
}
