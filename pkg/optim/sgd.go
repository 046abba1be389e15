package optim

import (
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// SGD with heavy-ball momentum optim.beta1 and decoupled weight decay: m = beta1·m + g,
// w = w·(1 - lr·weight_decay) - lr·m. Without momentum (beta1 0) it keeps no state.
func init() {
	Register("sgd", Rule{func(set *param.Set, c Config) []Slot {
		if c.Beta1 == 0 {
			return nil
		}
		return []Slot{{"moment1.f32", set}}
	}, sgdUpdate})
}

func sgdUpdate(s *State, u Step) {
	scale := s.GradScale(u.Norm)
	for _, b := range s.Blocks(u.Set) {
		keep := float32(1)
		if b.Params[0].Decay {
			keep = float32(1 - u.LR*s.WeightDecay)
		}
		w, g := b.In(u.Set.Weights), b.In(u.Grads)
		if len(s.slabs) > 0 {
			m := s.Of(u.Set, 0, b.Name)
			kernel.WeightedSum(u.Pool, m, m, float32(s.Beta1), g, scale)
			kernel.WeightedSum(u.Pool, w, w, keep, m, float32(-u.LR))
		} else {
			kernel.WeightedSum(u.Pool, w, w, keep, g, float32(-u.LR)*scale)
		}
		u.Clear(b)
	}
}
