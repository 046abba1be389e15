package model

import (
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// gpt2 is GPT-2 (Radford et al., 2019): learned positions, LayerNorm before attention
// and the feed-forward network, multi-head attention and GELU, biases, a head that is
// mostly tied to the embedding. Its fields are the keys of config.json.
type gpt2 struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	VocabSize     int      `json:"vocab_size"`
	Positions     int      `json:"n_positions"`
	Embed         int      `json:"n_embd"`
	Layers        int      `json:"n_layer"`
	Heads         int      `json:"n_head"`
	Inner         *int     `json:"n_inner"` // null is 4·n_embd
	Activation    string   `json:"activation_function"`
	Eps           float64  `json:"layer_norm_epsilon"`
	InitRange     float64  `json:"initializer_range"`
	ScaleAttn     bool     `json:"scale_attn_weights"`
	Tied          bool     `json:"tie_word_embeddings"`
	endKeys
}

func init() {
	registerDecoder("gpt2", func() keys {
		return &gpt2{Positions: 1024, Activation: "gelu_new", Eps: 1e-5, InitRange: 0.02, ScaleAttn: true, Tied: true}
	})
	ggufs["gpt2"] = func(h Header) map[string]any {
		return map[string]any{
			"model_type": "gpt2", "vocab_size": h.Int("vocab_size"), "n_embd": h.Int("embedding_length"), "n_layer": h.Int("block_count"),
			"n_head": h.Int("attention.head_count"), "n_inner": h.Int("feed_forward_length"), "n_positions": h.Int("context_length"),
			"layer_norm_epsilon": h.Float("attention.layer_norm_epsilon"), "activation_function": "gelu_new",
			"tie_word_embeddings": !h.Has("output.weight"),
		}
	}
}

func (k *gpt2) sized(s Sizes) error {
	switch {
	case s.KVHeads != s.Heads:
		return fmt.Errorf("model.kv_heads is %d, but gpt2 has as many as heads, %d", s.KVHeads, s.Heads)
	case s.HeadDim*s.Heads != s.Width:
		return fmt.Errorf("model.head_dim is %d, but gpt2's is width / heads, %d / %d", s.HeadDim, s.Width, s.Heads)
	}
	if s.FFN == 0 {
		s.FFN = 4 * s.Width
	}
	k.VocabSize, k.Positions, k.Embed, k.Layers, k.Heads, k.Inner = s.Vocab, s.Context, s.Width, s.Layers, s.Heads, &s.FFN
	if s.Tied != nil {
		k.Tied = *s.Tied
	}
	return nil
}

func (k *gpt2) arch() (*Arch, error) {
	k.ModelType, k.Architectures = "gpt2", []string{"GPT2LMHeadModel"}
	inner := 4 * k.Embed
	if k.Inner != nil {
		inner = *k.Inner
	}
	switch {
	case k.Layers < 1 || k.Layers > maxLayers || k.Heads < 1 || k.Embed < 1 || k.Embed%k.Heads != 0:
		return nil, fmt.Errorf("n_layer %d, n_embd %d, n_head %d: expected positive, n_embd divisible by n_head", k.Layers, k.Embed, k.Heads)
	case k.VocabSize < 1 || k.Positions < 1 || inner < 1:
		return nil, fmt.Errorf("vocab_size %d, n_positions %d, n_inner %d: expected positive", k.VocabSize, k.Positions, inner)
	}
	act, err := activation("activation_function", k.Activation)
	if err == nil && act == SiLU {
		err = fmt.Errorf("activation_function is %q, expected gelu_new, gelu_pytorch_tanh or gelu", k.Activation)
	}
	a := &Arch{
		Layers: k.Layers, Hidden: k.Embed, FFN: inner, Vocab: k.VocabSize, Positions: k.Positions,
		Heads: k.Heads, KVHeads: k.Heads, HeadDim: k.Embed / k.Heads, Tied: k.Tied,
		LayerNorm: true, Eps: k.Eps, PreNorm: true, Learned: true, Scale: 1,
		Act: act, InitRange: k.InitRange, SmallInit: true,
		Bias: map[param.Role]bool{param.Q: true, param.O: true, param.Up: true, param.Down: true},
	}
	if k.ScaleAttn {
		a.Scale = square(a.HeadDim)
	}
	return a, err
}

func (k *gpt2) shaped(s Shape) { k.Inner = &s.FFN }

// table: the weights of Conv1D are stored [in, out].
func (k *gpt2) table() *Table {
	const hf, gguf = "transformer.h.%d.", "blk.%d."
	conv := func(n, g string, r param.Role, more ...param.Role) Name {
		e := entry(hf+n, gguf+g, r)
		e.Roles, e.Conv = append(e.Roles, more...), true
		return e
	}
	return &Table{
		Prefix: "transformer.", Class: "GPT2LMHeadModel", FixedHeads: true, GGUF: &GGUF{Arch: "gpt2", Act: TanhGELU},
		Tensors: []Name{
			entry("transformer.wte", "token_embd", param.Embed), entry("transformer.wpe", "position_embd", param.Positions),
			entry(hf+"ln_1", gguf+"attn_norm", param.Norm1), entry(hf+"ln_1", gguf+"attn_norm", param.Norm1.Bias()),
			conv("attn.c_attn", "attn_qkv", param.Q, param.K, param.V),
			conv("attn.c_attn", "attn_qkv", param.Q.Bias(), param.K.Bias(), param.V.Bias()),
			conv("attn.c_proj", "attn_output", param.O), conv("attn.c_proj", "attn_output", param.O.Bias()),
			entry(hf+"ln_2", gguf+"ffn_norm", param.Norm2), entry(hf+"ln_2", gguf+"ffn_norm", param.Norm2.Bias()),
			conv("mlp.c_fc", "ffn_up", param.Up), conv("mlp.c_fc", "ffn_up", param.Up.Bias()),
			conv("mlp.c_proj", "ffn_down", param.Down), conv("mlp.c_proj", "ffn_down", param.Down.Bias()),
			entry("transformer.ln_f", "output_norm", param.FinalNorm), entry("transformer.ln_f", "output_norm", param.FinalNorm.Bias()),
			entry("lm_head", "output", param.Head),
		},
	}
}

func (k *gpt2) layers(from []int) { k.Layers = len(from) }
