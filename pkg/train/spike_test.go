package train

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSpike(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s Spike
	spikes := map[int]bool{}
	for step := range 1000 {
		loss := 2 + 4*math.Exp(-float64(step)/100) + 0.05*rng.NormFloat64() // falls, noisily
		if step == 300 || step == 700 {
			loss += 1.5
		}
		if mean, spike := s.Add(loss); spike {
			spikes[step] = true
			if !(mean > 1.9 && mean < 3) {
				t.Errorf("step %d: the running mean is %g", step, mean)
			}
		}
	}
	if len(spikes) != 2 || !spikes[300] || !spikes[700] {
		t.Errorf("spikes at %v, expected 300 and 700", spikes)
	}
}
