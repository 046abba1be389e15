package model

import (
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/param"
)

// gemmaKeys are what Gemma 2 and 3 have beside LLaMA's keys: gains of 1 + w on norms
// before and after attention and the feed-forward network, a gated GELU, an embedding
// times sqrt(E), a scale of scores and soft caps of their own, windows in some layers.
type gemmaKeys struct {
	*llamaKeys
	Act        string   `json:"hidden_activation"`
	HiddenAct  *string  `json:"hidden_act,omitempty"` // old files repeat or contradict hidden_activation
	MLPBias    *bool    `json:"mlp_bias,omitempty"`
	Scalar     float64  `json:"query_pre_attn_scalar"` // scores are over its root
	Cap        *float64 `json:"attn_logit_softcapping"`
	FinalCap   *float64 `json:"final_logit_softcapping"`
	Window     *int     `json:"sliding_window"`
	LayerTypes []string `json:"layer_types,omitempty"`
}

func newGemmaKeys(family, class string) *gemmaKeys {
	k := &gemmaKeys{llamaKeys: newLlamaKeys(family, class), Act: "gelu_pytorch_tanh", Scalar: 256}
	k.Tied, k.llamaKeys.HeadDim, k.MaxPositions = true, 256, 8192
	return k
}

func (k *gemmaKeys) sized(s Sizes) error {
	k.Scalar = float64(s.HeadDim)
	tied := k.Tied
	err := k.llamaKeys.sized(s)
	if s.Tied == nil {
		k.Tied = tied
	}
	return err
}

// arch is the architecture but for its windows; has says which layers have one
// where layer_types does not.
func (k *gemmaKeys) gemma(has func(layer int) bool) (*Arch, error) {
	a, err := k.llamaKeys.arch()
	if err != nil {
		return nil, err
	}
	if a.Act, err = activation("hidden_activation", k.Act); err != nil {
		return nil, err
	}
	if !(k.Scalar > 0) {
		return nil, fmt.Errorf("query_pre_attn_scalar is %g, expected above 0", k.Scalar)
	}
	a.PlusOne, a.PostNorm, a.Scale = true, true, 1/math.Sqrt(k.Scalar)
	a.EmbedScale = roundBF16(math.Sqrt(float64(k.Hidden))) // as the weights were trained
	for _, c := range []struct {
		key string
		of  *float64
		to  *float64
	}{{"attn_logit_softcapping", k.Cap, &a.SoftCap}, {"final_logit_softcapping", k.FinalCap, &a.FinalCap}} {
		if c.of == nil {
			continue
		}
		if *c.to = *c.of; !(*c.of > 0) {
			return nil, fmt.Errorf("%s is %g, expected above 0", c.key, *c.of)
		}
	}
	if k.Window != nil {
		a.Windows, err = windows(a, *k.Window, k.LayerTypes, has)
	}
	return a, err
}

// roundBF16 rounds to the nearest bfloat16, of two to the even one.
func roundBF16(x float64) float64 {
	b := math.Float32bits(float32(x))
	b += 0x7fff + b>>16&1
	return float64(math.Float32frombits(b &^ 0xffff))
}

// gemmaNames are those of LLaMA with four norms a layer.
func gemmaNames(more ...Name) []Name {
	const hf, gguf = "model.layers.%d.", "blk.%d."
	return withNames(llamaNames(), append(more,
		entry(hf+"post_attention_layernorm", gguf+"post_attention_norm", param.PostNorm1),
		entry(hf+"pre_feedforward_layernorm", gguf+"ffn_norm", param.Norm2),
		entry(hf+"post_feedforward_layernorm", gguf+"post_ffw_norm", param.PostNorm2))...)
}

// gguf is the keys that both share in a GGUF file.
func (k *gemmaKeys) gguf(arch string) *GGUF {
	g := &GGUF{Arch: arch, Halves: true, HeadDim: true, Windows: true, Act: TanhGELU, Keys: map[string]any{}}
	if k.Window != nil {
		g.Keys["attention.sliding_window"] = uint32(*k.Window)
	}
	if k.Cap != nil {
		g.Keys["attn_logit_softcapping"] = float32(*k.Cap)
	}
	if k.FinalCap != nil {
		g.Keys["final_logit_softcapping"] = float32(*k.FinalCap)
	}
	if !k.Tied {
		g.Refuse = "ties the head to the embedding"
	}
	return g
}

// gemmaConfig is the config.json that a GGUF file's keys amount to: the scale of
// scores is 1/sqrt of the head width.
func gemmaConfig(h Header, family string) map[string]any {
	c := llamaConfig(h, family)
	if c == nil {
		return nil
	}
	delete(c, "hidden_act")
	c["query_pre_attn_scalar"] = c["head_dim"]
	for key, from := range map[string]string{"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"} {
		if x := h.FloatOr(from, 0); x != 0 {
			c[key] = x
		}
	}
	if w := h.IntOr("attention.sliding_window", 0); w > 0 {
		c["sliding_window"] = w
	}
	return c
}

// only writes down which of the layers that stay have windows: their numbers no longer say it.
func (k *gemmaKeys) only(from []int, has func(layer int) bool) {
	if here, err := slides(k.Layers, k.LayerTypes, has); err == nil {
		k.LayerTypes = make([]string, len(from))
		for i, l := range from {
			k.LayerTypes[i] = "full_attention"
			if here[l] {
				k.LayerTypes[i] = "sliding_attention"
			}
		}
	}
	k.llamaKeys.layers(from)
}
