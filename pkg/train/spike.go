package train

import "math"

// Spike watches the loss for steps that leave its course. The zero value is ready.
type Spike struct {
	mean, square float64 // running mean of the loss and of its squared distance from it
	seen         int
}

const (
	spikeDecay  = 0.95 // of the running mean: about the last 20 steps
	spikeWarm   = 20   // steps before anything counts as a spike
	spikeSigmas = 6
	spikeShare  = 0.05 // of the mean, at least
)

// Add takes a step's loss. It reports whether the loss is a spike: above the
// running mean of the steps before by more than six standard deviations and
// more than a twentieth; mean is that running mean.
func (s *Spike) Add(loss float64) (mean float64, spike bool) {
	mean = s.mean
	d := loss - mean
	spike = s.seen >= spikeWarm && d > spikeSigmas*math.Sqrt(s.square) && d > spikeShare*math.Abs(mean)
	s.seen++
	if s.seen == 1 {
		s.mean = loss
		return mean, false
	}
	w := 1 - spikeDecay
	if n := 1 / float64(s.seen); n > w {
		w = n // a plain mean until there are enough
	}
	s.mean += w * d
	s.square += w * (d*d - s.square)
	return mean, spike
}
