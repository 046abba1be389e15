package infer

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// SamplerConfig says how the next token is drawn.
type SamplerConfig struct {
	Temperature float64 // logits are divided by it; 0 takes the most likely token
	TopK        int     // draw among the TopK most likely tokens; 0 is all
	TopP        float64 // draw among the fewest most likely tokens whose probability reaches TopP (nucleus sampling, https://arxiv.org/abs/1904.09751); 1 is all
	Seed        uint64  // of the draws
}

// Validate reports the first value that makes no sense, by flag.
func (c SamplerConfig) Validate() error {
	if !(c.Temperature >= 0 && c.Temperature <= 100) {
		return fmt.Errorf("temperature is %g, expected 0 to 100", c.Temperature)
	}
	if c.TopK < 0 {
		return fmt.Errorf("top-k is %d, expected 0 or more", c.TopK)
	}
	if !(c.TopP > 0 && c.TopP <= 1) {
		return fmt.Errorf("top-p is %g, expected above 0 and at most 1", c.TopP)
	}
	return nil
}

// Sampler draws tokens from logits. It is not safe for concurrent use.
type Sampler struct {
	SamplerConfig
	rng   *rand.Rand
	order []candidate
}

type candidate struct {
	id int32
	p  float64 // logit, then unnormalised probability
}

// NewSampler makes a sampler; the same seed and logits give the same tokens.
func NewSampler(c SamplerConfig) (*Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sampler{SamplerConfig: c, rng: rand.New(rand.NewPCG(c.Seed, 0x9e3779b97f4a7c15))}, nil
}

// Next draws a token from logits [V]. Ties go to the lower id.
func (s *Sampler) Next(logits []float32) int32 {
	if s.Temperature == 0 || s.TopK == 1 {
		return argmax(logits)
	}
	s.order = s.order[:0]
	for i, l := range logits {
		s.order = append(s.order, candidate{int32(i), float64(l) / s.Temperature})
	}
	slices.SortStableFunc(s.order, func(a, b candidate) int { return cmp.Compare(b.p, a.p) })
	if s.TopK > 0 && s.TopK < len(s.order) {
		s.order = s.order[:s.TopK]
	}
	top, sum := s.order[0].p, 0.0
	for i := range s.order {
		s.order[i].p = math.Exp(s.order[i].p - top)
		sum += s.order[i].p
	}
	if s.TopP < 1 {
		mass := 0.0
		for i := range s.order {
			if mass += s.order[i].p; mass >= s.TopP*sum {
				s.order, sum = s.order[:i+1], mass
				break
			}
		}
	}
	x := s.rng.Float64() * sum
	for _, c := range s.order {
		if x -= c.p; x < 0 {
			return c.id
		}
	}
	return s.order[len(s.order)-1].id
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}
