package model

import (
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

func (k *modernBERT) shaped(s Shape) { k.Intermediate = s.FFN }

// table: files of the bare model lack "model." before names.
func (k *modernBERT) table() *Table {
	t := &Table{Class: k.Architectures[0], FixedHeads: true, GGUF: k.gguf()}
	prefix, other := "model.", ""
	if t.Class == modernModel {
		prefix, other = other, prefix
	}
	both := func(hf, gguf string, roles ...param.Role) { // the matrix or gain, and its bias where there is one
		for _, bias := range []bool{false, true} {
			n := Name{}
			for _, r := range roles {
				if bias {
					r = r.Bias()
				}
				if n.Roles == nil {
					n = entry(prefix+hf, gguf, r)
					if prefix != other {
						n.Aliases = []string{other + strings.TrimPrefix(n.HF, prefix)}
					}
					continue
				}
				n.Roles = append(n.Roles, r)
			}
			t.Tensors = append(t.Tensors, n)
		}
	}
	const layer, gguf = "layers.%d.", "blk.%d."
	both("embeddings.tok_embeddings", "token_embd", param.Embed)
	both("embeddings.norm", "token_embd_norm", param.EmbedNorm)
	both(layer+"attn_norm", gguf+"attn_norm", param.Norm1)
	both(layer+"attn.Wqkv", gguf+"attn_qkv", param.Q, param.K, param.V)
	both(layer+"attn.Wo", gguf+"attn_output", param.O)
	both(layer+"mlp_norm", gguf+"ffn_norm", param.Norm2)
	both(layer+"mlp.Wi", gguf+"ffn_up", param.Gate, param.Up)
	both(layer+"mlp.Wo", gguf+"ffn_down", param.Down)
	both("final_norm", "output_norm", param.FinalNorm)
	prefix, other = "", ""
	both("head.dense", "", param.HeadDense)
	both("head.norm", "", param.HeadNorm)
	both("decoder", "", param.Head)
	return t
}

// gguf is llama.cpp's architecture, which computes GELU by its approximation by tanh.
func (k *modernBERT) gguf() *GGUF {
	g := &GGUF{Arch: "modern-bert", Halves: true, Windows: true, Theta: k.GlobalTheta, Keys: map[string]any{
		"attention.sliding_window": uint32(k.Local), "attention.sliding_window_pattern": uint32(k.Every), "rope.freq_base_swa": float32(*k.LocalTheta), "hidden_activation": "gelu",
	}}
	if act, err := activation("hidden_activation", k.Act); err == nil && act == SiLU {
		g.Keys["hidden_activation"] = "silu"
	}
	here, err := slides(k.Layers, k.LayerTypes, k.slides)
	for i := range here {
		if err == nil && here[i] != k.slides(i) {
			g.Refuse = "has windows in all layers but every n-th, which is not what layer_types says"
		}
	}
	switch {
	case k.NormBias || k.AttentionBias || k.MLPBias:
		g.Refuse = "has no biases"
	case k.Architectures[0] == modernMasked:
		g.Refuse = "has no masked-language-model head"
	}
	return g
}

// layers writes down which of the layers that stay have windows, where their numbers no longer say it.
func (k *modernBERT) layers(from []int) {
	here, err := slides(k.Layers, k.LayerTypes, k.slides)
	k.Layers = len(from)
	if err != nil {
		return
	}
	types, told := make([]string, len(from)), true
	for i, l := range from {
		types[i] = "full_attention"
		if here[l] {
			types[i] = "sliding_attention"
		}
		told = told && here[l] == k.slides(i)
	}
	if k.LayerTypes = nil; !told {
		k.LayerTypes = types
	}
}
