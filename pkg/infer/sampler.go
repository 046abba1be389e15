package infer

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/ecospa/ecospa/pkg/kernel"
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
	p  float64 // probability over that of the most likely token
}

// NewSampler makes a sampler; the same seed and logits give the same tokens.
func NewSampler(c SamplerConfig) (*Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sampler{SamplerConfig: c, rng: rand.New(rand.NewPCG(c.Seed, 0x9e3779b97f4a7c15))}, nil
}

// Next draws a token from logits [V]: of the tokens in order of their probability, the
// one at which the sum of probabilities passes a random part of the whole. Ties go to the
// lower id. Only as many tokens are sorted as the draw needs.
func (s *Sampler) Next(logits []float32) int32 {
	if s.Temperature == 0 || s.TopK == 1 {
		return int32(kernel.Argmax(logits))
	}
	top := float64(logits[kernel.Argmax(logits)]) / s.Temperature
	k, all, mass := len(logits), false, 0.0
	if s.TopK > 0 {
		k = min(k, s.TopK)
	}
	if k == len(logits) {
		mass = math.Exp(kernel.LogSumExp(logits, float32(1/s.Temperature)) - top)
	}
	u := s.rng.Float64()
	for within := 4.0; ; within *= 2 {
		all = within > 1000
		s.collect(logits, top, within, all)
		order := s.order[:min(k, len(s.order))]
		if len(order) < k && k < len(logits) && !all {
			continue
		}
		if id, ok := nucleusDraw(order, mass, s.TopP, u, all || len(order) == k); ok {
			return id
		}
	}
}

// collect sorts the tokens whose probability is at least e^-within of the largest, or all.
func (s *Sampler) collect(logits []float32, top, within float64, all bool) {
	s.order = s.order[:0]
	least := float32((top - within) * s.Temperature)
	for i, l := range logits {
		if l >= least || all {
			s.order = append(s.order, candidate{int32(i), math.Exp(float64(l)/s.Temperature - top)})
		}
	}
	slices.SortFunc(s.order, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.p, a.p), cmp.Compare(a.id, b.id)) })
}

// nucleusDraw takes the token of order, the most likely first, at the part u of the nucleus:
// the fewest tokens whose sum reaches topP of mass, which is the sum of all tokens, or 0
// where order is all of them. It reports false when that takes more tokens than order
// has; complete says that there are no more.
func nucleusDraw(order []candidate, mass, topP, u float64, complete bool) (id int32, ok bool) {
	sum, nucleus := 0.0, len(order)
	for _, c := range order {
		sum += c.p
	}
	if mass == 0 {
		mass = sum
	}
	if topP < 1 {
		part := 0.0
		for i, c := range order {
			if part += c.p; part >= topP*mass {
				nucleus, mass = i+1, part
				break
			}
		}
		if nucleus == len(order) && !complete {
			return 0, false
		}
	}
	x := u * mass
	for _, c := range order[:nucleus] {
		if x -= c.p; x < 0 {
			return c.id, true
		}
	}
	return order[max(0, nucleus-1)].id, complete // rounding: the last of all
}
