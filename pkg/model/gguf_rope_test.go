package model

import (
	"math"
	"testing"
)

// fakeHeader has the keys of a rotation, and no others.
type fakeHeader struct {
	Header
	keys    map[string]any
	tensors map[string]bool
	failed  string
}

func (h *fakeHeader) FloatOr(key string, or float64) float64 {
	if v, ok := h.keys[key]; ok {
		return v.(float64)
	}
	return or
}

func (h *fakeHeader) StringOr(key, or string) string {
	if v, ok := h.keys[key]; ok {
		return v.(string)
	}
	return or
}

func (h *fakeHeader) IntOr(key string, or int) int {
	if v, ok := h.keys[key]; ok {
		return v.(int)
	}
	return or
}

func (h *fakeHeader) Int(string) int            { return 512 }
func (h *fakeHeader) Has(tensor string) bool    { return h.tensors[tensor] }
func (h *fakeHeader) Fail(key, expected string) { h.failed = key }

// TestScalingOfGGUFKeys: the keys mean what llama.cpp makes of them, and what is not computed is refused.
func TestScalingOfGGUFKeys(t *testing.T) {
	type keys = map[string]any
	for _, c := range []struct {
		keys    keys
		factors []float64
		kind    string
		factor  float64 // of a linear one or yarn, or of the first frequency
		gain    float64
		failed  string
	}{
		{keys{}, nil, "default", 0, 0, ""},
		{keys{"rope.scaling.factor": 4.0}, nil, "linear", 4, 0, ""},
		{keys{"rope.scale_linear": 4.0}, nil, "linear", 4, 0, ""},
		{keys{"rope.scaling.factor": 0.0}, nil, "default", 0, 0, ""},
		{keys{"rope.scaling.type": "none", "rope.scaling.factor": 4.0}, nil, "default", 0, 0, ""},
		{keys{"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}, nil, "yarn", 4, 1 + 0.1*math.Log(4), ""},
		{keys{"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.attn_factor": 0.5}, nil, "yarn", 4, 0.5 * (1 + 0.1*math.Log(4)), ""},
		{keys{"rope.scaling.attn_factor": 1.5}, nil, "longrope", 1, 1.5, ""},
		{keys{"rope.scaling.factor": 2.0}, []float64{1, 3}, "longrope", 2, 1, ""},
		{keys{"rope.scaling.type": "longrope"}, nil, "default", 0, 0, "rope.scaling.type"},
		{keys{"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}, []float64{1, 3}, "yarn", 4, 1 + 0.1*math.Log(4), "rope.scaling.type"},
		{keys{"rope.scaling.type": "yarn", "rope.scaling.yarn_log_multiplier": 0.1}, nil, "yarn", 1, 1, "rope.scaling.yarn_log_multiplier"},
	} {
		h := &fakeHeader{keys: c.keys}
		s := ggufScaling(h, c.factors, 2)
		if s.kind() != c.kind || h.failed != c.failed {
			t.Errorf("%v: %s, refused %q; expected %s, %q", c.keys, s.kind(), h.failed, c.kind, c.failed)
			continue
		}
		factor, gain := 0.0, 0.0
		if s != nil {
			factor = s.Factor
			if s.Attention != nil {
				gain = *s.Attention
			}
			if len(s.Short) > 0 {
				factor = s.Short[0]
			}
		}
		if factor != c.factor || math.Abs(gain-c.gain) > 1e-12 {
			t.Errorf("%v: factor %g, gain %g; expected %g and %g", c.keys, factor, gain, c.factor, c.gain)
		}
	}
	h := &fakeHeader{keys: keys{"rope.scaling.type": "longrope"}, tensors: map[string]bool{LongFactors: true}}
	if s := ggufScaling(h, nil, 2); s != nil || h.failed != "" {
		t.Errorf("longrope beside its factors: %+v, refused %q", s, h.failed)
	}
}
