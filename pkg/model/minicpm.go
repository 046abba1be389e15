package model

import (
	"fmt"
	"math"
)

// minicpm is MiniCPM (https://arxiv.org/abs/2404.06395): LLaMA with the embedding times
// scale_emb, each residual branch times scale_depth/sqrt(L) and the last hidden states
// over hidden_size/dim_model_base.
type minicpm struct {
	*llamaKeys
	ScaleEmbed float64 `json:"scale_emb"`
	ScaleDepth float64 `json:"scale_depth"`
	BaseWidth  float64 `json:"dim_model_base"`
}

func init() {
	registerDecoder("minicpm", func() keys {
		k := &minicpm{newLlamaKeys("minicpm", "MiniCPMForCausalLM"), 1, 1, 1}
		k.Tied = true
		return k
	})
	ggufs["minicpm"] = func(h Header) map[string]any {
		c := llamaConfig(h, "minicpm")
		if c != nil {
			width, layers := float64(c["hidden_size"].(int)), float64(c["num_hidden_layers"].(int))
			c["scale_emb"] = h.FloatOr("embedding_scale", 12)
			c["scale_depth"] = h.FloatOr("residual_scale", 1.4/math.Sqrt(layers)) * math.Sqrt(layers)
			c["dim_model_base"] = width / h.FloatOr("logit_scale", width/256)
		}
		return c
	}
}

func (k *minicpm) sized(s Sizes) error {
	k.ScaleDepth, k.BaseWidth = math.Sqrt(float64(s.Layers)), float64(s.Width) // multipliers of 1
	return k.llamaKeys.sized(s)
}

func (k *minicpm) arch() (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil {
		return nil, err
	}
	if !(k.ScaleEmbed > 0) || !(k.ScaleDepth > 0) || !(k.BaseWidth > 0) {
		return nil, fmt.Errorf("scale_emb %g, scale_depth %g, dim_model_base %g: expected above 0", k.ScaleEmbed, k.ScaleDepth, k.BaseWidth)
	}
	a.EmbedScale, a.ResidualScale, a.LogitScale = k.ScaleEmbed, k.ScaleDepth/math.Sqrt(float64(k.Layers)), k.BaseWidth/float64(k.Hidden)
	return a, nil
}

// table: the class has no head_dim of its own, and llama.cpp's graph is granite's.
func (k *minicpm) table() *Table {
	return &Table{Tensors: llamaNames(), Prefix: "model.", Class: k.class, FixedHeads: true,
		GGUF: &GGUF{Arch: "minicpm", HeadDim: true, RopeFreqs: true, Factors: true}}
}

// layers: each branch is multiplied as before.
func (k *minicpm) layers(from []int) {
	k.ScaleDepth *= math.Sqrt(float64(len(from)) / float64(k.Layers))
	k.llamaKeys.layers(from)
}
