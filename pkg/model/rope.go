package model

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// ropeScale is rope_scaling (transformers 4) or rope_parameters (transformers 5).
type ropeScale struct {
	Type     string  `json:"rope_type,omitempty"`
	OldType  string  `json:"type,omitempty"` // the key's older name
	Theta    float64 `json:"rope_theta,omitempty"`
	Factor   float64 `json:"factor,omitempty"`
	Low      float64 `json:"low_freq_factor,omitempty"`
	High     float64 `json:"high_freq_factor,omitempty"`
	Original float64 `json:"original_max_position_embeddings,omitempty"`
}

func (r *ropeScale) kind() string {
	switch {
	case r == nil || r.Type == "" && r.OldType == "":
		return "default"
	case r.Type != "":
		return r.Type
	}
	return r.OldType
}

func (r *ropeScale) check() error {
	switch r.kind() {
	case "default":
		return nil
	case "linear":
		if !(r.Factor >= 1) {
			return fmt.Errorf("rope scaling factor is %g, expected at least 1", r.Factor)
		}
		return nil
	case "llama3":
		if !(r.Factor >= 1 && r.Low > 0 && r.High > r.Low && r.Original > 0) {
			return fmt.Errorf("llama3 rope scaling has factor %g, low_freq_factor %g, high_freq_factor %g, original_max_position_embeddings %g: expected factor >= 1, 0 < low < high, original > 0", r.Factor, r.Low, r.High, r.Original)
		}
		return nil
	}
	return fmt.Errorf("rope scaling type is %q, expected default, linear or llama3", r.kind())
}

// scale is the frequency w (radians a token) after scaling. llama3 divides long
// wavelengths by Factor and blends between (https://arxiv.org/abs/2407.21783).
func (r *ropeScale) scale(w float64) float64 {
	switch r.kind() {
	case "linear":
		return w / r.Factor
	case "llama3":
		turns := r.Original * w / (2 * math.Pi) // rotations within the original context
		smooth := (turns - r.Low) / (r.High - r.Low)
		smooth = math.Max(0, math.Min(1, smooth))
		return (1-smooth)*w/r.Factor + smooth*w
	}
	return w
}

// frequencies are the rotation frequencies of layer i: of the dense model's
// pairs that each K/V head still has, theta^(-2j/head_dim) for pair j. One list
// serves all heads while the layer is whole.
func (m *llama) frequencies(set *param.Set, i int) [][]float32 {
	origin := set.Origin(dim(i, "qk"))
	if len(origin[0]) == m.HeadDim/2 {
		origin = origin[:1]
	}
	out := make([][]float32, len(origin))
	for g, pairs := range origin {
		out[g] = make([]float32, len(pairs))
		for k, j := range pairs {
			out[g][k] = float32(m.RopeScaling.scale(math.Pow(m.RopeTheta, -2*float64(j)/float64(m.HeadDim))))
		}
	}
	return out
}
