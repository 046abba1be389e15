package param

import (
	"math"
	"math/rand/v2"
)

// Init fills the weights from the specs' Init. Every parameter draws from a
// stream of its own, seeded by seed and its name, so that adding a parameter
// does not change the others.
func (s *Set) Init(seed uint64) {
	for _, p := range s.Params {
		p.draws(seed)(p.Data())
	}
}

// InitAs is Init of weights that are stored as t where they can be; these are never float32,
// but for a piece at a time.
func (s *Set) InitAs(seed uint64, t DType) error {
	for _, b := range s.Blocks {
		if t == F32 || !b.CanStore(t) || b.DType() != F32 {
			for _, p := range b.Params {
				p.draws(seed)(p.Data())
			}
			continue
		}
		b.reserve(t)
		piece := make([]float32, 1<<14) // whole blocks of Q8
		at := 0
		for _, p := range b.Params {
			draw := p.draws(seed)
			for left := p.Size(); left > 0; left -= len(piece) {
				x := piece[:min(len(piece), left)]
				draw(x)
				b.encode(at, x)
				at += len(x)
			}
		}
	}
	return nil
}

// draws gives the parameter's first weights in order, as many as it is asked for.
func (p *Param) draws(seed uint64) func(to []float32) {
	h := uint64(14695981039346656037) // FNV-1a of the name
	for i := 0; i < len(p.Name); i++ {
		h = (h ^ uint64(p.Name[i])) * 1099511628211
	}
	rng := rand.New(rand.NewPCG(seed, h))
	return func(to []float32) {
		for i := range to {
			to[i] = p.Spec.Init.Mean
			if p.Spec.Init.Std != 0 {
				to[i] += p.Spec.Init.Std * float32(clampNormal(rng.NormFloat64()))
			}
		}
	}
}

// clampNormal keeps a standard normal draw within four deviations.
func clampNormal(x float64) float64 { return math.Max(-4, math.Min(4, x)) }
