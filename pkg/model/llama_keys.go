package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ecospa/ecospa/pkg/param"
)

// llamaKeys are LLaMA's keys of config.json, which most families share.
type llamaKeys struct {
	Architectures []string   `json:"architectures"`
	ModelType     string     `json:"model_type"`
	VocabSize     int        `json:"vocab_size"`
	Hidden        int        `json:"hidden_size"`
	Intermediate  int        `json:"intermediate_size"`
	Layers        int        `json:"num_hidden_layers"`
	Heads         int        `json:"num_attention_heads"`
	KVHeads       int        `json:"num_key_value_heads"`
	HeadDim       int        `json:"head_dim"`
	Act           string     `json:"hidden_act"`
	MaxPositions  int        `json:"max_position_embeddings"`
	Eps           float64    `json:"rms_norm_eps"`
	InitRange     float64    `json:"initializer_range"`
	Tied          bool       `json:"tie_word_embeddings"`
	AttentionBias bool       `json:"attention_bias"`
	MLPBias       bool       `json:"mlp_bias"`
	RopeTheta     float64    `json:"rope_theta"`
	RopeScaling   *ropeScale `json:"rope_scaling"`
	RopeParams    *ropeScale `json:"rope_parameters,omitempty"` // transformers 5's spelling of theta and scaling
	endKeys

	family, class string
}

func newLlamaKeys(family, class string) *llamaKeys {
	return &llamaKeys{
		Eps: 1e-6, RopeTheta: 10000, MaxPositions: 2048, Act: "silu", InitRange: 0.02, family: family, class: class,
	}
}

func (k *llamaKeys) sized(s Sizes) error {
	if s.FFN == 0 {
		s.FFN = (8*s.Width/3 + 31) / 32 * 32
	}
	k.VocabSize, k.Hidden, k.Intermediate, k.Layers, k.Heads, k.KVHeads = s.Vocab, s.Width, s.FFN, s.Layers, s.Heads, s.KVHeads
	k.HeadDim, k.MaxPositions = s.HeadDim, s.Context
	if s.RopeTheta != 0 {
		k.RopeTheta = s.RopeTheta
	}
	if s.Tied != nil {
		k.Tied = *s.Tied
	}
	return nil
}

func (k *llamaKeys) arch() (*Arch, error) {
	if err := k.complete(); err != nil {
		return nil, err
	}
	act, err := activation("hidden_act", k.Act)
	if err != nil {
		return nil, err
	}
	a := &Arch{
		Layers: k.Layers, Hidden: k.Hidden, FFN: k.Intermediate, Vocab: k.VocabSize, Positions: k.MaxPositions,
		Heads: k.Heads, KVHeads: k.KVHeads, HeadDim: k.HeadDim, Tied: k.Tied, Eps: k.Eps, PreNorm: true,
		Scale: square(k.HeadDim), Act: act, Gated: true, InitRange: k.InitRange, SmallInit: true,
		Bias: map[param.Role]bool{param.Q: k.AttentionBias, param.O: k.AttentionBias, param.Up: k.MLPBias, param.Down: k.MLPBias},
	}
	if err := k.RopeScaling.check(k.HeadDim / 2); err != nil {
		return nil, err
	}
	r := &Rope{Theta: k.RopeTheta, Dims: k.HeadDim, Scaling: k.RopeScaling}
	a.Rope = everywhere(k.Layers, r.stretch(float64(k.MaxPositions), 0))
	return a, nil
}

// complete fills in what depends on other keys and reports what cannot be.
func (k *llamaKeys) complete() error {
	k.ModelType, k.Architectures = k.family, []string{k.class}
	if k.RopeScaling != nil && k.RopeParams != nil && !k.RopeScaling.same(k.RopeParams) {
		return errors.New("rope_scaling and rope_parameters say different things")
	}
	if p := k.RopeParams; p != nil {
		if p.Theta != 0 {
			k.RopeTheta = p.Theta
		}
		if p.kind() != "default" && k.RopeScaling == nil {
			k.RopeScaling = p
		}
	}
	if k.KVHeads == 0 {
		k.KVHeads = k.Heads
	}
	if k.HeadDim == 0 && k.Heads > 0 {
		k.HeadDim = k.Hidden / k.Heads
	}
	if k.Act == "" {
		k.Act = "silu"
	}
	switch {
	case k.Intermediate < 1 || k.Hidden < 1 || k.VocabSize < 1 || k.MaxPositions < 1:
		return fmt.Errorf("intermediate_size %d, hidden_size %d, vocab_size %d, max_position_embeddings %d: expected positive", k.Intermediate, k.Hidden, k.VocabSize, k.MaxPositions)
	case k.Layers > maxLayers:
		return fmt.Errorf("num_hidden_layers is %d, expected at most %d", k.Layers, maxLayers)
	case k.Layers < 1 || k.Heads < 1 || k.KVHeads < 1 || k.Heads%k.KVHeads != 0:
		return fmt.Errorf("num_hidden_layers %d, num_attention_heads %d, num_key_value_heads %d: expected positive, heads divisible by K/V heads", k.Layers, k.Heads, k.KVHeads)
	case k.HeadDim < 2 || k.HeadDim%2 != 0:
		return fmt.Errorf("head_dim is %d, expected an even number for rotary positions", k.HeadDim)
	case !(k.RopeTheta > 1):
		return fmt.Errorf("rope_theta is %g, expected above 1", k.RopeTheta)
	}
	return nil
}

// shaped gives the frequencies too where they are not those of the head width.
// transformers 4 reads rope_theta and rope_scaling, 5 reads rope_parameters.
func (k *llamaKeys) shaped(s Shape) {
	k.HeadDim, k.KVHeads, k.Heads, k.Intermediate = s.HeadDim, s.KV, s.KV*(k.Heads/k.KVHeads), s.FFN
	if s.Narrowed {
		k.RopeScaling = nil // the pairs that are left may have the narrower head's own frequencies
		if factors := s.Factors; factors != nil || s.Gain != 0 && s.Gain != 1 {
			if factors == nil {
				factors = slices.Repeat([]float64{1}, s.HeadDim/2)
			}
			k.RopeScaling = longrope(factors, s.Gain)
			k.RopeScaling.Original = float64(k.MaxPositions)
		}
	}
	p := ropeScale{Type: "default"}
	if k.RopeScaling != nil {
		p = *k.RopeScaling
	}
	p.Theta = k.RopeTheta
	k.RopeParams = &p
}

func (k *llamaKeys) table() *Table {
	return &Table{Tensors: llamaNames(), Prefix: "model.", Class: k.class, GGUF: &GGUF{Arch: "llama", PerLayer: "deci", HeadDim: true, RopeFreqs: true, SquareQ: true}}
}

// llamaNames is LLaMA's table, on which those of other families are built.
func llamaNames() []Name {
	const hf, gguf = "model.layers.%d.", "blk.%d."
	attn := func(n, g string, r param.Role) Name { return entry(hf+"self_attn."+n, gguf+g, r) }
	mlp := func(n, g string, r param.Role) Name { return entry(hf+"mlp."+n, gguf+g, r) }
	return []Name{
		entry("model.embed_tokens", "token_embd", param.Embed),
		entry(hf+"input_layernorm", gguf+"attn_norm", param.Norm1),
		attn("q_proj", "attn_q", param.Q), attn("k_proj", "attn_k", param.K), attn("v_proj", "attn_v", param.V), attn("o_proj", "attn_output", param.O),
		entry(hf+"post_attention_layernorm", gguf+"ffn_norm", param.Norm2),
		mlp("gate_proj", "ffn_gate", param.Gate), mlp("up_proj", "ffn_up", param.Up), mlp("down_proj", "ffn_down", param.Down),
		attn("q_proj", "attn_q", param.Q.Bias()), attn("k_proj", "attn_k", param.K.Bias()), attn("v_proj", "attn_v", param.V.Bias()), attn("o_proj", "attn_output", param.O.Bias()),
		mlp("gate_proj", "ffn_gate", param.Gate.Bias()), mlp("up_proj", "ffn_up", param.Up.Bias()), mlp("down_proj", "ffn_down", param.Down.Bias()),
		entry("model.norm", "output_norm", param.FinalNorm),
		entry("lm_head", "output", param.Head),
	}
}

func (k *llamaKeys) layers(from []int) { k.Layers = len(from) }
