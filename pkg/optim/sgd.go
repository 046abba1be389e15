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
		m := []float32(nil)
		if len(s.slabs) > 0 {
			m = s.Of(u.Set, 0, b.Name)
		}
		for _, p := range b.Params {
			rate, keep := u.rate(p), float32(1)
			if p.Decay {
				keep = float32(1 - rate*s.WeightDecay)
			}
			w, g := p.In(u.Set.Weights), p.In(u.Grads)
			if m == nil {
				kernel.WeightedSum(u.Pool, w, w, keep, g, float32(-rate)*scale)
				continue
			}
			own := m[p.Offset-b.Offset:][:len(w)]
			kernel.WeightedSum(u.Pool, own, own, float32(s.Beta1), g, scale)
			kernel.WeightedSum(u.Pool, w, w, keep, own, float32(-rate))
		}
		u.Clear(b)
	}
}
