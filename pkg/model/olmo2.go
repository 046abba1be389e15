package model

import "github.com/ecospa/ecospa/pkg/param"

// olmo2 is OLMo 2 (https://arxiv.org/abs/2501.00656): LLaMA with norms on the outputs of
// attention and the feed-forward network instead of their inputs, and an RMS norm
// over the queries of all heads together and one over all keys.
type olmo2 struct {
	*llamaKeys
	MLPBias *bool `json:"mlp_bias,omitempty"`
}

func init() {
	registerDecoder("olmo2", func() keys {
		k := &olmo2{llamaKeys: newLlamaKeys("olmo2", "Olmo2ForCausalLM")}
		k.RopeTheta = 500000
		return k
	})
	ggufs["olmo2"] = func(h Header) map[string]any { return llamaConfig(h, "olmo2") }
}

func (k *olmo2) arch() (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil {
		return nil, err
	}
	a.PreNorm, a.PostNorm, a.QKNorm = false, true, AllQKNorm
	return a, nil
}

func (k *olmo2) table() *Table {
	g := &GGUF{Arch: "olmo2", Halves: true}
	switch {
	case k.Tied:
		g.Refuse = "has a head of its own, this model's is tied"
	case k.AttentionBias:
		g.Refuse = "has no biases in attention"
	}
	names := withNames(llamaNames(), append(qkNormNames(),
		entry("model.layers.%d.post_attention_layernorm", "blk.%d.post_attention_norm", param.PostNorm1),
		entry("model.layers.%d.post_feedforward_layernorm", "blk.%d.post_ffw_norm", param.PostNorm2))...)
	return &Table{Tensors: names, Prefix: "model.", Class: k.class, GGUF: g}
}
