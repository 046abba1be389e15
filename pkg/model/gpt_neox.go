package model

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// gptNeoX is GPT-NeoX (https://arxiv.org/abs/2204.06745) and Pythia: LayerNorm, biases, a
// rotation of the first rotary_pct of each head, q, k and v of a head in one matrix, and
// attention and the feed-forward network side by side on the same residual stream.
type gptNeoX struct {
	Architectures []string   `json:"architectures"`
	ModelType     string     `json:"model_type"`
	VocabSize     int        `json:"vocab_size"`
	Hidden        int        `json:"hidden_size"`
	Layers        int        `json:"num_hidden_layers"`
	Heads         int        `json:"num_attention_heads"`
	Intermediate  int        `json:"intermediate_size"`
	Act           string     `json:"hidden_act"`
	Rotary        float64    `json:"rotary_pct"`
	RotaryBase    float64    `json:"rotary_emb_base"`
	RopeTheta     float64    `json:"rope_theta,omitempty"` // another name of rotary_emb_base
	RopeScaling   *ropeScale `json:"rope_scaling,omitempty"`
	MaxPositions  int        `json:"max_position_embeddings"`
	Eps           float64    `json:"layer_norm_eps"`
	InitRange     float64    `json:"initializer_range"`
	Parallel      bool       `json:"use_parallel_residual"`
	Tied          bool       `json:"tie_word_embeddings"`
	AttentionBias bool       `json:"attention_bias"`
	endKeys
}

func init() {
	registerDecoder("gpt_neox", func() keys {
		return &gptNeoX{Act: "gelu", Rotary: 0.25, RotaryBase: 10000, MaxPositions: 2048, Eps: 1e-5, InitRange: 0.02, Parallel: true, AttentionBias: true}
	})
	ggufs["gptneox"] = func(h Header) map[string]any {
		c := map[string]any{
			"model_type": "gpt_neox", "vocab_size": h.Int("vocab_size"), "hidden_size": h.Int("embedding_length"), "num_hidden_layers": h.Int("block_count"),
			"num_attention_heads": h.Int("attention.head_count"), "intermediate_size": h.Int("feed_forward_length"), "max_position_embeddings": h.Int("context_length"),
			"layer_norm_eps": h.Float("attention.layer_norm_epsilon"), "rotary_emb_base": h.FloatOr("rope.freq_base", 10000),
			"use_parallel_residual": h.Bool("use_parallel_residual"), "tie_word_embeddings": !h.Has("output.weight"),
		}
		width := max(1, h.Int("embedding_length")/max(1, h.Int("attention.head_count")))
		turned := h.IntOr("rope.dimension_count", width)
		c["rotary_pct"] = float64(turned) / float64(width)
		if s := ggufScaling(h, nil, turned/2); s != nil {
			c["rope_scaling"] = s
		}
		return c
	}
}

func (k *gptNeoX) sized(s Sizes) error {
	switch {
	case s.KVHeads != s.Heads:
		return fmt.Errorf("model.kv_heads is %d, but gpt_neox has as many as heads, %d", s.KVHeads, s.Heads)
	case s.HeadDim*s.Heads != s.Width:
		return fmt.Errorf("model.head_dim is %d, but gpt_neox's is width / heads, %d / %d", s.HeadDim, s.Width, s.Heads)
	}
	if s.FFN == 0 {
		s.FFN = 4 * s.Width
	}
	k.VocabSize, k.MaxPositions, k.Hidden, k.Layers, k.Heads, k.Intermediate = s.Vocab, s.Context, s.Width, s.Layers, s.Heads, s.FFN
	if s.Tied != nil {
		k.Tied = *s.Tied
	}
	if s.RopeTheta != 0 {
		k.RotaryBase = s.RopeTheta
	}
	return nil
}

// turned is the columns of a head that turn.
func (k *gptNeoX) turned() int { return int(k.Rotary*float64(k.Hidden/k.Heads)) / 2 * 2 }

func (k *gptNeoX) arch() (*Arch, error) {
	k.ModelType, k.Architectures = "gpt_neox", []string{"GPTNeoXForCausalLM"}
	if k.RopeTheta != 0 {
		k.RotaryBase = k.RopeTheta
	}
	switch {
	case k.Layers < 1 || k.Layers > maxLayers || k.Heads < 1 || k.Hidden < 1 || k.Hidden%k.Heads != 0 || k.Hidden/k.Heads%2 != 0:
		return nil, fmt.Errorf("num_hidden_layers %d, hidden_size %d, num_attention_heads %d: expected positive, heads of an even width", k.Layers, k.Hidden, k.Heads)
	case k.VocabSize < 1 || k.MaxPositions < 1 || k.Intermediate < 1:
		return nil, fmt.Errorf("vocab_size %d, max_position_embeddings %d, intermediate_size %d: expected positive", k.VocabSize, k.MaxPositions, k.Intermediate)
	case !(k.Rotary > 0 && k.Rotary <= 1) || k.turned() < 2 || !(k.RotaryBase > 1):
		return nil, fmt.Errorf("rotary_pct is %g, rotary_emb_base %g: expected a part of each head to turn, by a base above 1", k.Rotary, k.RotaryBase)
	case !k.AttentionBias:
		return nil, errors.New("attention_bias is false, expected true")
	}
	act, err := activation("hidden_act", k.Act)
	if err == nil && act == SiLU {
		err = fmt.Errorf("hidden_act is %q, expected gelu, gelu_new or gelu_pytorch_tanh", k.Act)
	}
	if err == nil {
		err = k.RopeScaling.check(k.turned() / 2)
	}
	d := k.Hidden / k.Heads
	return &Arch{
		Layers: k.Layers, Hidden: k.Hidden, FFN: k.Intermediate, Vocab: k.VocabSize, Positions: k.MaxPositions,
		Heads: k.Heads, KVHeads: k.Heads, HeadDim: d, Tied: k.Tied, LayerNorm: true, Eps: k.Eps, PreNorm: true, Parallel: k.Parallel,
		Rope:  everywhere(k.Layers, (&Rope{Theta: k.RotaryBase, Dims: k.turned(), Scaling: k.RopeScaling}).stretch(float64(k.MaxPositions), 0)),
		Scale: square(d), Act: act, InitRange: k.InitRange, SmallInit: true,
		Bias: map[param.Role]bool{param.Q: true, param.O: true, param.Up: true, param.Down: true},
	}, err
}

func (k *gptNeoX) shaped(s Shape) { k.Intermediate = s.FFN }

// table: llama.cpp computes the GELU of this architecture by its approximation by tanh,
// whatever the file was trained with.
func (k *gptNeoX) table() *Table {
	const hf, gguf = "gpt_neox.layers.%d.", "blk.%d."
	var names []Name
	both := func(n, g string, r param.Role, more ...param.Role) {
		w, b := entry(n, g, r), entry(n, g, r.Bias())
		for _, m := range more {
			w.Roles, b.Roles = append(w.Roles, m), append(b.Roles, m.Bias())
		}
		w.ByHead, b.ByHead = len(more) > 0, len(more) > 0
		names = append(names, w, b)
	}
	names = append(names, entry("gpt_neox.embed_in", "token_embd", param.Embed))
	both(hf+"input_layernorm", gguf+"attn_norm", param.Norm1)
	both(hf+"attention.query_key_value", gguf+"attn_qkv", param.Q, param.K, param.V)
	both(hf+"attention.dense", gguf+"attn_output", param.O)
	both(hf+"post_attention_layernorm", gguf+"ffn_norm", param.Norm2)
	both(hf+"mlp.dense_h_to_4h", gguf+"ffn_up", param.Up)
	both(hf+"mlp.dense_4h_to_h", gguf+"ffn_down", param.Down)
	both("gpt_neox.final_layer_norm", "output_norm", param.FinalNorm)
	t := &Table{Tensors: append(names, entry("embed_out", "output", param.Head)), Prefix: "gpt_neox.", Class: "GPTNeoXForCausalLM", FixedHeads: true, HeadDim: k.Hidden / k.Heads,
		GGUF: &GGUF{Arch: "gptneox", Halves: true, Keys: map[string]any{"use_parallel_residual": k.Parallel}}}
	if k.turned() < t.HeadDim {
		t.Rotary = k.turned()
	}
	if k.Tied {
		t.GGUF.Refuse = "has a head of its own, this model's is tied"
	}
	return t
}

func (k *gptNeoX) layers(from []int) { k.Layers = len(from) }
