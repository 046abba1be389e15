package model

import (
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/param"
)

// maxGGUFLayers bounds hostile files.
const maxGGUFLayers = 1 << 12

// llamaConfig is the config.json of a family with LLaMA's keys. Where layers differ in
// heads or channels, they are written as for a pruned model.
func llamaConfig(h Header, family string) map[string]any {
	layers := h.Int("block_count")
	if layers > maxGGUFLayers {
		h.Fail("block_count", "at most 4096")
		return nil
	}
	heads, kv, ffn := h.Each("attention.head_count", layers), h.Each("attention.head_count_kv", layers), h.Each("feed_forward_length", layers)
	if h.Failed() {
		return nil
	}
	width := h.IntOr("attention.key_length", max(1, h.Int("embedding_length")/heads[0]))
	if v, n := h.IntOr("attention.value_length", width), h.IntOr("rope.dimension_count", width); v != width || n != width || width%2 != 0 {
		h.Fail("attention.key_length", fmt.Sprintf("an even number, that of attention.value_length, %d, and rope.dimension_count, %d", v, n))
	}
	if h.Failed() {
		return nil
	}
	kept := Kept{HeadDim: width}
	repeat := heads[0] / max(1, kv[0])
	for i := range layers {
		if heads[i] != repeat*kv[i] {
			h.Fail("attention.head_count", fmt.Sprintf("%d times attention.head_count_kv in layer %d", repeat, i))
			return nil
		}
		kept.Layers = append(kept.Layers, Widths{KV: kv[i], QK: width / 2, VO: width, FFN: ffn[i]})
	}
	n := &Table{Tensors: llamaNames()}
	c := map[string]any{
		"model_type": family, "vocab_size": h.Int("vocab_size"), "hidden_size": h.Int("embedding_length"), "head_dim": width,
		"intermediate_size": slices.Max(ffn), "num_hidden_layers": layers, "num_key_value_heads": slices.Max(kv),
		"num_attention_heads": repeat * slices.Max(kv), "max_position_embeddings": h.Int("context_length"), "hidden_act": "silu",
		"rms_norm_eps": h.Float("attention.layer_norm_rms_epsilon"), "rope_theta": h.Float("rope.freq_base"),
		"tie_word_embeddings": !h.Has("output.weight"),
		"attention_bias":      ggufBias(h, n, param.Q), "mlp_bias": ggufBias(h, n, param.Gate),
	}
	for _, w := range kept.Layers {
		if w != kept.Layers[0] {
			c["ecospa"] = kept
		}
	}
	if s := ggufScaling(h, h.Factors("rope_freqs.weight", width/2), width/2); s != nil {
		c["rope_scaling"] = s
	}
	return c
}
