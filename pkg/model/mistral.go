package model

// mistral is Mistral (https://arxiv.org/abs/2310.06825): LLaMA with a sliding window in
// every layer, which later releases leave out. llama.cpp has it as llama.
type mistral struct {
	*llamaKeys
	AttentionBias *bool `json:"attention_bias,omitempty"`
	MLPBias       *bool `json:"mlp_bias,omitempty"`
	Window        *int  `json:"sliding_window"`
}

func init() {
	registerDecoder("mistral", func() keys {
		k := &mistral{llamaKeys: newLlamaKeys("mistral", "MistralForCausalLM")}
		k.MaxPositions = 131072
		return k
	})
}

func (k *mistral) arch() (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil || k.Window == nil {
		return a, err
	}
	a.Windows, err = windows(a, *k.Window, nil, func(int) bool { return true })
	return a, err
}
