package model

import "fmt"

// granite is Granite 3 (dense; https://arxiv.org/abs/2408.11743 gives its line): LLaMA
// with multipliers on the embedding, on each residual branch and on the scores, and a
// divisor of the logits.
type granite struct {
	*llamaKeys
	Embedding float64 `json:"embedding_multiplier"`
	Attention float64 `json:"attention_multiplier"`
	Residual  float64 `json:"residual_multiplier"`
	Logits    float64 `json:"logits_scaling"`
}

func init() {
	registerDecoder("granite", func() keys {
		return &granite{newLlamaKeys("granite", "GraniteForCausalLM"), 1, 1, 1, 1}
	})
	ggufs["granite"] = func(h Header) map[string]any {
		c := llamaConfig(h, "granite")
		if c != nil {
			c["embedding_multiplier"], c["residual_multiplier"] = h.FloatOr("embedding_scale", 1), h.FloatOr("residual_scale", 1)
			c["logits_scaling"] = h.Float("logit_scale")
			c["attention_multiplier"] = h.FloatOr("attention.scale", square(c["head_dim"].(int)))
		}
		return c
	}
}

func (k *granite) sized(s Sizes) error {
	k.Attention = square(s.HeadDim)
	return k.llamaKeys.sized(s)
}

func (k *granite) arch() (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil {
		return nil, err
	}
	if !(k.Logits > 0) || !(k.Attention > 0) || !(k.Embedding > 0) || !(k.Residual > 0) {
		return nil, fmt.Errorf("embedding_multiplier %g, attention_multiplier %g, residual_multiplier %g, logits_scaling %g: expected above 0", k.Embedding, k.Attention, k.Residual, k.Logits)
	}
	a.Scale, a.EmbedScale, a.ResidualScale, a.LogitScale = k.Attention, k.Embedding, k.Residual, 1/k.Logits
	return a, nil
}

func (k *granite) table() *Table {
	return &Table{Tensors: llamaNames(), Prefix: "model.", Class: k.class, FixedScale: true,
		GGUF: &GGUF{Arch: "granite", HeadDim: true, RopeFreqs: true, Scale: true, Factors: true}}
}
