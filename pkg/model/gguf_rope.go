package model

import (
	"math"
	"slices"
)

// RopeKeys is a scaling as the keys rope.scaling.* of a GGUF file say it.
type RopeKeys struct {
	Type       string // linear or yarn
	Factor     float64
	Original   float64 // context of yarn
	Gain       float64 // beside the one that yarn's factor brings
	Fast, Slow float64 // bounds of yarn; 0 where they are the usual ones
}

// Keys are the scaling as a GGUF file says it without factors of each frequency; ok is false
// where it cannot.
func (r *Rope) Keys() (k RopeKeys, ok bool) {
	s := r.Scaling
	switch s.kind() {
	case "linear":
		return RopeKeys{Type: "linear", Factor: s.Factor, Gain: 1}, true
	case "yarn":
		if s.Truncate != nil && !*s.Truncate {
			return RopeKeys{}, false
		}
		return RopeKeys{"yarn", s.Factor, s.Original, r.Gain / yarnBrings(s.Factor), s.Fast, s.Slow}, true
	}
	return RopeKeys{}, false
}

// yarnBrings is the gain that llama.cpp gives yarn by its factor.
func yarnBrings(factor float64) float64 { return 1 + 0.1*math.Log(max(1, factor)) }

// ggufScaling is the scaling of a file whose rotation of so many pairs is divided by factors
// as well where they are not nil; nil without any.
func ggufScaling(h Header, factors []float64, pairs int) *ropeScale {
	gain := h.FloatOr("rope.scaling.attn_factor", 1)
	factor := h.FloatOr("rope.scaling.factor", h.FloatOr("rope.scale_linear", 1))
	if factor == 0 { // llama.cpp's default
		factor = 1
	}
	kind := h.StringOr("rope.scaling.type", "linear")
	switch {
	case kind == "none", kind == "longrope" && (h.Has(ShortFactors) || h.Has(LongFactors)): // whose factors the family reads
		factor = 1
	case kind == "yarn":
		if factors != nil {
			h.Fail("rope.scaling.type", "none beside rope_freqs.weight")
		}
		for key, usual := range map[string]float64{"yarn_ext_factor": 1, "yarn_attn_factor": 1, "yarn_log_multiplier": 0} {
			if h.FloatOr("rope.scaling."+key, usual) != usual {
				h.Fail("rope.scaling."+key, "no such key")
			}
		}
		gain *= yarnBrings(factor)
		return &ropeScale{Type: "yarn", Factor: factor, Original: float64(h.IntOr("rope.scaling.original_context_length", h.Int("context_length"))), Attention: &gain,
			yarn: yarn{Fast: h.FloatOr("rope.scaling.yarn_beta_fast", 0), Slow: h.FloatOr("rope.scaling.yarn_beta_slow", 0)}}
	case kind != "linear":
		h.Fail("rope.scaling.type", "none, linear or yarn")
	}
	switch {
	case factor == 1 && gain == 1 && factors == nil:
		return nil
	case gain == 1 && factors == nil:
		return &ropeScale{Type: "linear", Factor: factor}
	case factors == nil:
		factors = slices.Repeat([]float64{1}, pairs)
	}
	for i := range factors {
		factors[i] *= factor
	}
	return longrope(factors, gain)
}
