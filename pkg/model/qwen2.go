package model

import "github.com/ecospa/ecospa/pkg/param"

// qwen2 is Qwen2 and 2.5 (https://arxiv.org/abs/2407.10671): LLaMA with biases on q, k
// and v, and sliding windows in the upper layers where they are switched on.
type qwen2 struct {
	*llamaKeys
	AttentionBias *bool `json:"attention_bias,omitempty"` // q, k and v always have one, o never
	MLPBias       *bool `json:"mlp_bias,omitempty"`
	windowKeys
}

func init() {
	registerDecoder("qwen2", func() keys {
		k := &qwen2{llamaKeys: newLlamaKeys("qwen2", "Qwen2ForCausalLM")}
		k.MaxPositions = 32768
		return k
	})
	ggufs["qwen2"] = func(h Header) map[string]any { return llamaConfig(h, "qwen2") }
}

func (k *qwen2) arch() (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil {
		return nil, err
	}
	a.Bias = map[param.Role]bool{param.Q: true}
	return a, k.windowKeys.set(a)
}

func (k *qwen2) table() *Table {
	return &Table{Tensors: llamaNames(), Prefix: "model.", Class: k.class, GGUF: &GGUF{Arch: "qwen2", Halves: true}}
}

func (k *qwen2) layers(from []int) {
	k.windowKeys.layers(from)
	k.llamaKeys.layers(from)
}
