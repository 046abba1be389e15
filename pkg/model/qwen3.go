package model

import "github.com/ecospa/ecospa/pkg/param"

// qwen3 is Qwen3, dense (https://arxiv.org/abs/2505.09388): LLaMA with heads of a width
// of their own and an RMS norm of each query and key head before the rotation. One
// gain serves all heads, which therefore keep the same rotation pairs.
type qwen3 struct {
	*llamaKeys
	MLPBias *bool `json:"mlp_bias,omitempty"`
	windowKeys
}

func init() {
	registerDecoder("qwen3", func() keys {
		k := &qwen3{llamaKeys: newLlamaKeys("qwen3", "Qwen3ForCausalLM")}
		k.MaxPositions = 32768
		return k
	})
	ggufs["qwen3"] = func(h Header) map[string]any { return llamaConfig(h, "qwen3") }
}

func (k *qwen3) arch() (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil {
		return nil, err
	}
	a.QKNorm = HeadQKNorm
	return a, k.windowKeys.set(a)
}

func (k *qwen3) table() *Table {
	g := &GGUF{Arch: "qwen3", Halves: true, HeadDim: true}
	if k.AttentionBias {
		g.Refuse = "has no biases in attention"
	}
	return &Table{Tensors: withNames(llamaNames(), qkNormNames()...), Prefix: "model.", Class: k.class, GGUF: g}
}

// qkNormNames are the gains of the norms of queries and keys.
func qkNormNames() []Name {
	return []Name{
		entry("model.layers.%d.self_attn.q_norm", "blk.%d.attn_q_norm", param.QNorm),
		entry("model.layers.%d.self_attn.k_norm", "blk.%d.attn_k_norm", param.KNorm),
	}
}

func (k *qwen3) layers(from []int) {
	k.windowKeys.layers(from)
	k.llamaKeys.layers(from)
}
