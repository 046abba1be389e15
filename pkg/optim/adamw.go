package optim

import (
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// AdamW is Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101). Its state
// is the two moments, or with optim.moments bf16 one slab that holds both: see
// kernel.AdamW16Step.
func init() { Register("adamw", Rule{Slots: adamWSlots, Update: adamWUpdate}) }

func adamWSlots(set *param.Set, c Config) []Slot {
	if c.BF16Moments() {
		return []Slot{{"moments.bf16", set}}
	}
	return []Slot{{"moment1.f32", set}, {"moment2.f32", set}}
}

func adamWUpdate(s *State, u Step, b *param.Block, g []float32) {
	m := s.Of(u.Set, 0, b.Name)
	var v []float32
	if len(s.slabs) > 1 {
		v = s.Of(u.Set, 1, b.Name)
	}
	for _, p := range b.Params {
		args, from := s.adamW(u, p), p.Offset-b.Offset
		s.edit(u, p, 1, func(w []float32, at int) {
			lo := from + at
			hi := lo + len(w)
			if v == nil {
				kernel.AdamW16Step(u.Pool, w, g[lo:hi], m[lo:hi], b.Offset+lo, args)
			} else {
				kernel.AdamWStep(u.Pool, w, g[lo:hi], m[lo:hi], v[lo:hi], args)
			}
		})
	}
}

// adamW is the constants of the present step of AdamW for a parameter.
func (s *State) adamW(u Step, p *param.Param) kernel.AdamWArgs {
	a := kernel.AdamWArgs{
		LR: float32(u.rate(p)), Beta1: float32(s.Beta1), Beta2: float32(s.Beta2), Eps: float32(s.Eps),
		GradScale: s.GradScale(u.Norm), Step: s.updates,
	}
	if p.Decay {
		a.WeightDecay = float32(s.WeightDecay)
	}
	return a
}
