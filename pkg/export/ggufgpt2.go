package export

import "github.com/ecospa/ecospa/pkg/checkpoint"

// ggufGPT2 lists a gpt2's tensors under llama.cpp's names: matrices are
// [out, in], q, k and v one below the other.
func (s *source) ggufGPT2(f *fit) []checkpoint.Stream {
	table := func(name, p string) checkpoint.Stream { return stacked(name, s.whole(p)) }
	vec := func(name, p string) checkpoint.Stream { return vector(name, take(s.set.Param(p), 1, nil)) }
	out := []checkpoint.Stream{table("token_embd.weight", "embed"), table("position_embd.weight", "positions")}
	for i := range s.Layers {
		at := func(name string) string { return layerName("blk.%d."+name, i) }
		w := func(p string, pick []int) rows { return take(s.param(i, p), s.Hidden, pick) }
		b := func(p string, pick []int) rows { return take(s.param(i, p), 1, pick) }
		qk, v, ffn := f.queryRows(s, i, 1, false), f.valueRows(s, i, 1), f.ffnRows(s, i)
		out = append(out,
			vector(at("attn_norm.weight"), s.bias(i, "norm1_gain")), vector(at("attn_norm.bias"), s.bias(i, "norm1_bias")),
			stacked(at("attn_qkv.weight"), w("q", qk).times(f.scale), w("k", qk), w("v", v)),
			vector(at("attn_qkv.bias"), b("q_bias", qk).times(f.scale), b("k_bias", qk), b("v_bias", v)),
			transposed(at("attn_output.weight"), w("o", v)), vector(at("attn_output.bias"), b("o_bias", nil)),
			vector(at("ffn_norm.weight"), s.bias(i, "norm2_gain")), vector(at("ffn_norm.bias"), s.bias(i, "norm2_bias")),
			stacked(at("ffn_up.weight"), w("in", ffn)), vector(at("ffn_up.bias"), b("in_bias", ffn)),
			transposed(at("ffn_down.weight"), w("out", ffn)), vector(at("ffn_down.bias"), b("out_bias", nil)))
	}
	return append(out, vec("output_norm.weight", "norm_gain"), vec("output_norm.bias", "norm_bias"))
}
