package optim

import (
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// AdamW is Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101). Its state
// is the two moments, or with optim.moments bf16 one slab that holds both: see
// kernel.AdamW16Step.
func init() { Register("adamw", Rule{adamWSlots, adamWUpdate}) }

func adamWSlots(set *param.Set, c Config) []Slot {
	if c.BF16Moments() {
		return []Slot{{"moments.bf16", set}}
	}
	return []Slot{{"moment1.f32", set}, {"moment2.f32", set}}
}

func adamWUpdate(s *State, u Step) {
	blocks := s.Blocks(u.Set)
	if len(blocks) == 0 {
		return
	}
	args := s.adamW(u)
	base, m := blocks[0].Offset, s.slabs[0].Slab.Data
	var now stretch
	lo, hi := base, base
	flush := func() {
		args.LR, args.WeightDecay, args.ClearGrad = float32(now.rate), 0, !now.stale
		if now.decay {
			args.WeightDecay = float32(s.WeightDecay)
		}
		w, g := u.Set.Weights.Data[lo:hi], u.Grads.Data[lo:hi]
		switch {
		case lo == hi:
		case len(s.slabs) == 1:
			kernel.AdamW16Step(u.Pool, w, g, m[lo-base:hi-base], lo, args)
		default:
			kernel.AdamWStep(u.Pool, w, g, m[lo-base:hi-base], s.slabs[1].Slab.Data[lo-base:hi-base], args)
		}
	}
	// Neighbouring parameters that are treated alike are updated as one. The padding
	// between blocks is zero in every slab and stays zero under the update.
	for _, b := range blocks {
		stale := u.Stale != nil && u.Stale(b.Name)
		for _, p := range b.Params {
			if next := (stretch{p.Decay, stale, u.rate(p)}); next != now {
				flush()
				lo, now = p.Offset, next
			}
			hi = p.Offset + p.Size()
		}
	}
	flush()
}

// stretch is how neighbouring parameters are updated.
type stretch struct {
	decay, stale bool
	rate         float64
}

// adamW is the constants of the present step of AdamW.
func (s *State) adamW(u Step) kernel.AdamWArgs {
	return kernel.AdamWArgs{
		Beta1: float32(s.Beta1), Beta2: float32(s.Beta2), Eps: float32(s.Eps),
		GradScale: s.GradScale(u.Norm), Step: s.updates,
	}
}
