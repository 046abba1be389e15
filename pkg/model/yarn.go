package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
)

// yarn is what YaRN adds to a scaling (https://arxiv.org/abs/2309.00071): pairs that turn
// often within the original context keep their frequencies, those that turn seldom are
// divided by the factor, the others lie between.
type yarn struct {
	Fast      float64 `json:"beta_fast,omitempty"` // turns from which on a pair is kept; 0 is 32
	Slow      float64 `json:"beta_slow,omitempty"` // and below which it is divided; 0 is 1
	MScale    float64 `json:"mscale,omitempty"`    // with MScaleAll they say the gain, see yarnGain
	MScaleAll float64 `json:"mscale_all_dim,omitempty"`
	Truncate  *bool   `json:"truncate,omitempty"` // whether bounds are whole pairs; nil is true
}

// only refuses keys of YaRN beside another type.
func (y yarn) only() error {
	for key, v := range map[string]float64{"beta_fast": y.Fast, "beta_slow": y.Slow, "mscale": y.MScale, "mscale_all_dim": y.MScaleAll} {
		if v != 0 {
			return fmt.Errorf("rope scaling has %s, expected it with rope_type yarn only", key)
		}
	}
	if y.Truncate != nil {
		return errors.New("rope scaling has truncate, expected it with rope_type yarn only")
	}
	return nil
}

func (y yarn) fast() float64 { return cmp.Or(y.Fast, 32) }
func (y yarn) slow() float64 { return cmp.Or(y.Slow, 1) }

func (r *ropeScale) checkYarn() error {
	switch {
	case r.Factor != 0 && !(r.Factor >= 1) || math.IsInf(r.Factor, 0):
		return fmt.Errorf("rope scaling factor is %g, expected at least 1", r.Factor)
	case r.Factor == 0 && r.Original == 0:
		return errors.New("yarn has neither factor nor original_max_position_embeddings")
	case r.Original != 0 && !(r.Original >= 1):
		return fmt.Errorf("yarn has original_max_position_embeddings %g, expected at least 1", r.Original)
	case !(r.slow() > 0 && r.fast() > r.slow()):
		return fmt.Errorf("yarn has beta_fast %g and beta_slow %g, expected 0 < slow < fast", r.fast(), r.slow())
	case !(r.MScale >= 0 && r.MScaleAll >= 0):
		return fmt.Errorf("yarn has mscale %g and mscale_all_dim %g, expected 0 (none) or more", r.MScale, r.MScaleAll)
	}
	return r.checkAttention()
}

// yarnGain is what multiplies queries and keys where attention_factor does not say it.
func (r *ropeScale) yarnGain() float64 {
	of := func(scale float64) float64 {
		if r.Factor <= 1 {
			return 1
		}
		return 0.1*scale*math.Log(r.Factor) + 1
	}
	if r.MScale != 0 && r.MScaleAll != 0 {
		return of(r.MScale) / of(r.MScaleAll)
	}
	return of(1)
}

// stretchYarn fills in what the keys leave to the length of texts: the original context is all
// positions, the factor these over it.
func (r *Rope) stretchYarn(positions float64) *Rope {
	s := *r.Scaling
	s.Original = cmp.Or(s.Original, positions)
	s.Factor = cmp.Or(s.Factor, max(1, positions/s.Original))
	r.Scaling, r.Gain = &s, s.yarnGain()
	if s.Attention != nil {
		r.Gain = *s.Attention
	}
	return r
}

// yarn is the frequency w of pair j of a rotation after scaling.
func (r *Rope) yarn(w float64, j int) float64 {
	s, dims := r.Scaling, float64(r.Dims)
	bound := func(turns float64) float64 { // the pair that turns so often in the original context
		return dims * math.Log(s.Original/(turns*2*math.Pi)) / (2 * math.Log(r.Theta))
	}
	low, high := bound(s.fast()), bound(s.slow())
	if s.Truncate == nil || *s.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dims-1)
	if low == high {
		high += 0.001
	}
	divided := max(0, min(1, (float64(j)-low)/(high-low)))
	return w/s.Factor*divided + w*(1-divided)
}
