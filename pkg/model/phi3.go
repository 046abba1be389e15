package model

import (
	"encoding/json"
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// phi3 is Phi-3 and Phi-4-mini (https://arxiv.org/abs/2404.14219): LLaMA with q, k and v in
// one matrix and gate and up in another, of which partial_rotary_factor of each head turns
// in the later one.
type phi3 struct {
	*llamaKeys
	AttentionBias *bool         `json:"attention_bias,omitempty"`
	MLPBias       *bool         `json:"mlp_bias,omitempty"`
	Rotary        float64       `json:"partial_rotary_factor"`
	Original      int           `json:"original_max_position_embeddings,omitempty"`
	Window        *int          `json:"sliding_window"`
	RopeParams    *partialScale `json:"rope_parameters,omitempty"`
}

func init() {
	registerDecoder("phi3", func() keys {
		k := &phi3{llamaKeys: newLlamaKeys("phi3", "Phi3ForCausalLM"), Rotary: 1}
		k.MaxPositions = 4096
		return k
	})
	ggufs["phi3"] = func(h Header) map[string]any {
		turned := h.Int("rope.dimension_count")
		width := h.IntOr("attention.key_length", max(1, h.Int("embedding_length")/max(1, h.Int("attention.head_count"))))
		c := llamaConfig(wholeHead{h, width}, "phi3")
		if c != nil {
			if h.Has(ShortFactors) || h.Has(LongFactors) {
				short, long, gain := h.Factors(ShortFactors, turned/2), h.Factors(LongFactors, turned/2), h.FloatOr("rope.scaling.attn_factor", 1)
				c["rope_scaling"] = &ropeScale{Type: "longrope", Short: short, Long: long, Attention: &gain}
				c["original_max_position_embeddings"] = h.IntOr("rope.scaling.original_context_length", h.Int("context_length"))
			}
			c["partial_rotary_factor"] = float64(turned) / float64(width)
			if w := h.IntOr("attention.sliding_window", 0); w > 0 {
				c["sliding_window"] = w
			}
		}
		return c
	}
}

// wholeHead is a header whose heads turn by all of their width.
type wholeHead struct {
	Header
	width int
}

func (h wholeHead) IntOr(key string, or int) int {
	if key == "rope.dimension_count" {
		return h.width
	}
	return h.Header.IntOr(key, or)
}

// partialScale is transformers 5's rope_parameters, which has partial_rotary_factor too.
type partialScale struct {
	ropeScale
	part *float64
}

func (p *partialScale) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return p.ropeScale.UnmarshalJSON(text) // which says what is wrong
	}
	if part, ok := all["partial_rotary_factor"]; ok {
		if err := json.Unmarshal(part, &p.part); err != nil {
			return fmt.Errorf("rope scaling: partial_rotary_factor is %s, expected a number", short(string(part)))
		}
		delete(all, "partial_rotary_factor")
	}
	rest, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return p.ropeScale.UnmarshalJSON(rest)
}

// turned is the columns of a head that turn.
func (k *phi3) turned() int { return int(k.Rotary*float64(k.HeadDim)) / 2 * 2 }

func (k *phi3) arch() (*Arch, error) {
	if p := k.RopeParams; p != nil {
		k.RopeParams, k.llamaKeys.RopeParams = nil, &p.ropeScale // written by the keys of transformers 4
		if p.part != nil {
			k.Rotary = *p.part
		}
	}
	if err := k.complete(); err != nil {
		return nil, err
	}
	scaling := k.RopeScaling
	k.RopeScaling, k.llamaKeys.RopeParams = nil, nil // its factors are those of the pairs that turn
	a, err := k.llamaKeys.arch()
	k.RopeScaling = scaling
	if err != nil {
		return nil, err
	}
	if !(k.Rotary > 0 && k.Rotary <= 1) || k.turned() < 2 {
		return nil, fmt.Errorf("partial_rotary_factor is %g, expected above 0 to 1, two columns at least", k.Rotary)
	}
	if err := k.RopeScaling.check(k.turned() / 2); err != nil {
		return nil, err
	}
	r := &Rope{Theta: k.RopeTheta, Dims: k.turned(), Scaling: k.RopeScaling}
	a.Rope = everywhere(a.Layers, r.stretch(float64(k.MaxPositions), float64(k.Original)))
	if k.Window != nil {
		a.Windows, err = windows(a, *k.Window, nil, func(int) bool { return true })
	}
	return a, err
}

func (k *phi3) table() *Table {
	const hf, gguf = "model.layers.%d.", "blk.%d."
	qkv, gateUp := entry(hf+"self_attn.qkv_proj", gguf+"attn_qkv", param.Q), entry(hf+"mlp.gate_up_proj", gguf+"ffn_up", param.Gate)
	qkv.Roles, gateUp.Roles = append(qkv.Roles, param.K, param.V), append(gateUp.Roles, param.Up)
	t := &Table{Prefix: "model.", Class: k.class, WholeHeads: true, HeadDim: k.HeadDim, // llama.cpp looks for tokens of its own where a model's name has phi3 in it
		GGUF: &GGUF{Arch: "phi3", Name: "phi", Halves: true, LongRope: true}, Tensors: []Name{
			entry("model.embed_tokens", "token_embd", param.Embed),
			entry(hf+"input_layernorm", gguf+"attn_norm", param.Norm1), qkv, entry(hf+"self_attn.o_proj", gguf+"attn_output", param.O),
			entry(hf+"post_attention_layernorm", gguf+"ffn_norm", param.Norm2), gateUp, entry(hf+"mlp.down_proj", gguf+"ffn_down", param.Down),
			entry("model.norm", "output_norm", param.FinalNorm), entry("lm_head", "output", param.Head),
		}}
	if k.turned() < k.HeadDim {
		t.Rotary = k.turned()
	}
	return t
}
