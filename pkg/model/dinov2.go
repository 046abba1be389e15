package model

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// dinov2 is DINOv2 (https://arxiv.org/abs/2304.07193): vit whose layers multiply each column
// of what attention and the feed-forward network put out, with a gated feed-forward network
// in the largest one, and a classifier of the class token beside the mean of the patches. Its
// positions are interpolated where preprocessor_config.json cuts pictures of another size than
// image_size, as transformers does at every pass.
type dinov2 struct {
	*vit
	Intermediate *int    `json:"intermediate_size,omitempty"` // mlp_ratio says it
	Ratio        float64 `json:"mlp_ratio"`
	SwiGLU       bool    `json:"use_swiglu_ffn"`
	LayerScale   float64 `json:"layerscale_value"` // of new weights
	MaskToken    bool    `json:"use_mask_token"`

	trained int // squares on a side of the images that it was trained with, where others are read; else 0
}

const dinov2Type = "dinov2"

func init() {
	register(dinov2Type, family{parse: parseDINOv2, new: func(Sizes) (Model, error) {
		return nil, fmt.Errorf("model.family is %s, which is read and not made: give vit", dinov2Type)
	}})
}

func parseDINOv2(config []byte) (Model, error) {
	m := defaultViT()
	d := &dinov2{vit: m, Ratio: 4, LayerScale: 1, MaskToken: true}
	m.dino = d
	err := parsed(m, d, config, func() error {
		if d.Intermediate = nil; !(d.Ratio > 0 && d.Ratio < 1<<20) || d.width() < 1 {
			return fmt.Errorf("mlp_ratio is %g, expected one that leaves hidden channels", d.Ratio)
		}
		if math.IsNaN(d.LayerScale) || math.IsInf(d.LayerScale, 0) {
			return fmt.Errorf("layerscale_value is %g, expected a number", d.LayerScale)
		}
		m.Intermediate = d.width()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// width is the hidden channels, as mlp_ratio says them.
func (d *dinov2) width() int {
	f := int(float64(d.Hidden) * d.Ratio)
	if d.SwiGLU {
		f = (int(float64(f)*2/3) + 7) / 8 * 8
	}
	return f
}

// of is the keys for a model, with the mlp_ratio of its hidden channels: where they are gated
// those are a multiple of 8.
func (d *dinov2) of(m *vit) *dinov2 {
	k := *d
	k.vit = m
	if k.width() == m.Intermediate {
		return &k
	}
	f := m.Intermediate
	if k.SwiGLU {
		f = f * 3 / 2
	}
	for k.Ratio = float64(f) / float64(m.Hidden); int(float64(m.Hidden)*k.Ratio) < f; {
		k.Ratio = math.Nextafter(k.Ratio, math.Inf(1))
	}
	return &k
}

// multiple is what the hidden channels are a multiple of in files of transformers.
func (d *dinov2) multiple() int {
	if d.SwiGLU {
		return 8
	}
	return 0
}

// names are the tensors of a layer that vit calls otherwise, or has not.
func (d *dinov2) names(layer string) []Name {
	var out []Name
	both := func(hf string, roles ...param.Role) { // a matrix or a norm, and its bias
		w, b := entry(layer+hf, "", roles[0]), entry(layer+hf, "", roles[0].Bias())
		for _, r := range roles[1:] {
			w.Roles, b.Roles = append(w.Roles, r), append(b.Roles, r.Bias())
		}
		out = append(out, w, b)
	}
	both("norm1", param.Norm1)
	both("norm2", param.Norm2)
	if d.SwiGLU {
		both("mlp.weights_in", param.Gate, param.Up)
		both("mlp.weights_out", param.Down)
	} else {
		both("mlp.fc1", param.Up)
		both("mlp.fc2", param.Down)
	}
	return append(out, Name{Roles: []param.Role{param.LayerScale1}, HF: layer + "layer_scale1.lambda1"}, Name{Roles: []param.Role{param.LayerScale2}, HF: layer + "layer_scale2.lambda1"})
}
