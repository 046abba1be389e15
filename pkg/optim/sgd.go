package optim

import (
	"github.com/ecospa/ecospa/pkg/kernel"
	"github.com/ecospa/ecospa/pkg/param"
)

// SGD with heavy-ball momentum optim.beta1 and decoupled weight decay: m = beta1·m + g,
// w = w·(1 - lr·weight_decay) - lr·m. Without momentum (beta1 0) it keeps no state.
func init() {
	Register("sgd", Rule{Slots: func(set *param.Set, c Config) []Slot {
		if c.Beta1 == 0 {
			return nil
		}
		return []Slot{{"moment1.f32", set}}
	}, Update: sgdUpdate, Momenta: true})
}

func sgdUpdate(s *State, u Step, b *param.Block, g []float32) {
	scale := s.GradScale(u.Norm)
	m := []float32(nil)
	if len(s.slabs) > 0 {
		m = s.Of(u.Set, 0, b.Name)
	}
	for _, p := range b.Params {
		rate, keep, from := u.rate(p), float32(1), p.Offset-b.Offset
		if p.Decay {
			keep = float32(1 - rate*s.WeightDecay)
		}
		s.edit(u, p, 1, func(w []float32, at int) {
			g := g[from+at:][:len(w)]
			if m == nil {
				kernel.WeightedSum(u.Pool, w, w, keep, g, float32(-rate)*scale)
				return
			}
			own := m[from+at:][:len(w)]
			kernel.WeightedSum(u.Pool, own, own, float32(s.Beta1), g, scale)
			kernel.WeightedSum(u.Pool, w, w, keep, own, float32(-rate))
		})
	}
}
