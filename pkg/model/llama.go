package model

// llama is LLaMA (https://arxiv.org/abs/2302.13971): RMSNorm before attention and the
// feed-forward network, rotary positions, grouped-query attention and SwiGLU.
func init() {
	registerDecoder("llama", func() keys { return newLlamaKeys("llama", "LlamaForCausalLM") })
	ggufs["llama"] = func(h Header) map[string]any { return llamaConfig(h, "llama") }
	ggufs["deci"] = ggufs["llama"]
}
