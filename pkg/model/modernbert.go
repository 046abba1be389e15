package model

import (
	"errors"
	"fmt"

	"github.com/ecospa/ecospa/pkg/param"
)

// modernBERT is ModernBERT (https://arxiv.org/abs/2412.13663): an encoder with LLaMA's
// rotation and gated feed-forward network, LayerNorm without a bias before each part but the
// first, windows on both sides in two of three layers, which turn by a base of their own. The
// class ModernBertForMaskedLM has the masked-language-model head; ModernBertModel has none.
type modernBERT struct {
	Architectures []string   `json:"architectures"`
	ModelType     string     `json:"model_type"`
	VocabSize     int        `json:"vocab_size"`
	Hidden        int        `json:"hidden_size"`
	Intermediate  int        `json:"intermediate_size"`
	Layers        int        `json:"num_hidden_layers"`
	Heads         int        `json:"num_attention_heads"`
	Act           string     `json:"hidden_activation"`
	MaxPositions  int        `json:"max_position_embeddings"`
	Eps           float64    `json:"norm_eps"`
	OldEps        *float64   `json:"layer_norm_eps,omitempty"` // repeats norm_eps; nobody reads it
	NormBias      bool       `json:"norm_bias"`
	AttentionBias bool       `json:"attention_bias"`
	MLPBias       bool       `json:"mlp_bias"`
	InitRange     float64    `json:"initializer_range"`
	Tied          bool       `json:"tie_word_embeddings"`
	Every         int        `json:"global_attn_every_n_layers"` // the others have a window
	LayerTypes    []string   `json:"layer_types,omitempty"`
	Local         int        `json:"local_attention"` // half of it on either side
	GlobalTheta   float64    `json:"global_rope_theta"`
	LocalTheta    *float64   `json:"local_rope_theta"` // null is global_rope_theta
	RopeParams    *gemmaRope `json:"rope_parameters,omitempty"`
	RopeScaling   *ropeScale `json:"rope_scaling,omitempty"`
	HeadBias      bool       `json:"classifier_bias"`
	HeadAct       string     `json:"classifier_activation"`
	DecoderBias   bool       `json:"decoder_bias"`
	Ecospa        *Kept      `json:"ecospa,omitempty"`
}

const modernModel, modernMasked = "ModernBertModel", "ModernBertForMaskedLM"

func init() {
	registerEncoder("modernbert", func() keys {
		return &modernBERT{VocabSize: 50368, Hidden: 768, Intermediate: 1152, Layers: 22, Heads: 12, Act: "gelu", MaxPositions: 8192, Eps: 1e-5, InitRange: 0.02, Tied: true,
			Every: 3, Local: 128, GlobalTheta: 160000, LocalTheta: ptr(10000.0), HeadAct: "gelu", DecoderBias: true}
	})
	ggufs["modern-bert"] = modernConfig
}

// modernConfig is the config.json of a GGUF file, which has no head.
func modernConfig(h Header) map[string]any {
	c := map[string]any{
		"model_type": "modernbert", "architectures": []string{modernModel}, "vocab_size": h.Int("vocab_size"), "hidden_size": h.Int("embedding_length"), "num_hidden_layers": h.Int("block_count"),
		"num_attention_heads": h.Int("attention.head_count"), "intermediate_size": h.Int("feed_forward_length"), "max_position_embeddings": h.Int("context_length"),
		"norm_eps": h.Float("attention.layer_norm_epsilon"), "hidden_activation": h.StringOr("hidden_activation", "gelu"),
		"global_rope_theta": h.FloatOr("rope.freq_base", 10000), "local_rope_theta": h.FloatOr("rope.freq_base_swa", 10000), "global_attn_every_n_layers": 1,
	}
	if window := h.IntOr("attention.sliding_window", 0); window > 0 {
		c["local_attention"], c["global_attn_every_n_layers"] = window, h.IntOr("attention.sliding_window_pattern", 3)
	}
	return c
}

func (k *modernBERT) own() **Kept { return &k.Ecospa }

func (k *modernBERT) sized(s Sizes) error {
	if s.FFN == 0 {
		s.FFN = (8*s.Width/3 + 31) / 32 * 32
	}
	switch {
	case s.KVHeads != s.Heads:
		return fmt.Errorf("model.kv_heads is %d, but modernbert has as many as heads, %d", s.KVHeads, s.Heads)
	case s.HeadDim*s.Heads != s.Width:
		return fmt.Errorf("model.head_dim is %d, but modernbert's is width / heads, %d / %d", s.HeadDim, s.Width, s.Heads)
	}
	k.Architectures = []string{modernMasked}
	k.VocabSize, k.Hidden, k.Layers, k.Heads, k.Intermediate, k.MaxPositions = s.Vocab, s.Width, s.Layers, s.Heads, s.FFN, s.Context
	if s.Tied != nil {
		k.Tied = *s.Tied
	}
	if s.RopeTheta != 0 {
		k.GlobalTheta = s.RopeTheta
	}
	return nil
}

func (k *modernBERT) arch() (*Arch, error) {
	k.ModelType = "modernbert"
	class := modernModel
	if len(k.Architectures) > 0 {
		class = k.Architectures[0]
	}
	k.Architectures = []string{class}
	if err := k.check(class); err != nil {
		return nil, err
	}
	act, err := activation("hidden_activation", k.Act)
	if err != nil {
		return nil, err
	}
	head, err := activation("classifier_activation", k.HeadAct)
	if err == nil && head == SiLU {
		err = fmt.Errorf("classifier_activation is %q, expected gelu, gelu_new or gelu_pytorch_tanh", k.HeadAct)
	}
	if err != nil {
		return nil, err
	}
	d := k.Hidden / k.Heads
	a := &Arch{
		Layers: k.Layers, Hidden: k.Hidden, FFN: k.Intermediate, Vocab: k.VocabSize, Positions: k.MaxPositions,
		Heads: k.Heads, KVHeads: k.Heads, HeadDim: d, Tied: k.Tied, LayerNorm: true, NoBias: !k.NormBias, Eps: k.Eps, PreNorm: true, BareFirst: true, EmbedNorm: true,
		MaskedLM: class == modernMasked, HeadAct: head, Scale: square(d), Act: act, Gated: true, InitRange: k.InitRange, SmallInit: true,
		Bias: map[param.Role]bool{param.Q: k.AttentionBias, param.O: k.AttentionBias, param.Up: k.MLPBias, param.Down: k.MLPBias, param.HeadDense: k.HeadBias},
	}
	return a, k.local(a)
}

// check reports the first key that makes no sense.
func (k *modernBERT) check(class string) error {
	switch {
	case class != modernModel && class != modernMasked:
		return fmt.Errorf("architectures has %s, expected ModernBertModel or ModernBertForMaskedLM", short(class))
	case k.Layers < 1 || k.Layers > maxLayers || k.Heads < 1 || k.Hidden < 1 || k.Hidden%k.Heads != 0 || k.Hidden/k.Heads%2 != 0:
		return fmt.Errorf("num_hidden_layers %d, hidden_size %d, num_attention_heads %d: expected positive, heads of an even width", k.Layers, k.Hidden, k.Heads)
	case k.VocabSize < 1 || k.MaxPositions < 1 || k.Intermediate < 1:
		return fmt.Errorf("vocab_size %d, max_position_embeddings %d, intermediate_size %d: expected positive", k.VocabSize, k.MaxPositions, k.Intermediate)
	case !(k.Eps >= 0 && k.Eps < 1):
		return fmt.Errorf("norm_eps is %g, expected 0 to 1", k.Eps)
	case k.Every < 1 || k.Local < 1:
		return fmt.Errorf("global_attn_every_n_layers is %d, local_attention %d: expected at least 1", k.Every, k.Local)
	case !k.DecoderBias && class == modernMasked:
		return errors.New("decoder_bias is false, expected true")
	}
	return k.thetas()
}

// thetas reads transformers 5's spelling of the two rotations, and checks both.
func (k *modernBERT) thetas() error {
	scaling := []*ropeScale{k.RopeScaling}
	if p := k.RopeParams; p != nil {
		k.RopeParams = nil // written by the keys of transformers 4
		scaling = append(scaling, p.Full, p.Sliding)
		if p.Full != nil && p.Full.Theta != 0 {
			k.GlobalTheta = p.Full.Theta
		}
		if p.Sliding != nil && p.Sliding.Theta != 0 {
			k.LocalTheta = &p.Sliding.Theta
		}
	}
	for _, s := range scaling {
		if s.kind() != "default" {
			return fmt.Errorf("rope scaling type is %q, expected default: modernbert has a base for each kind of layer", short(s.kind()))
		}
	}
	if k.LocalTheta == nil {
		k.LocalTheta = ptr(k.GlobalTheta)
	}
	if !(k.GlobalTheta > 1) || !(*k.LocalTheta > 1) {
		return fmt.Errorf("global_rope_theta is %g, local_rope_theta %g: expected above 1", k.GlobalTheta, *k.LocalTheta)
	}
	return nil
}

// slides reports whether a layer has a window where layer_types does not say it.
func (k *modernBERT) slides(layer int) bool { return layer%k.Every != 0 }

// local gives the layers their rotations, and windows to those that have one.
func (k *modernBERT) local(a *Arch) error {
	here, err := slides(a.Layers, k.LayerTypes, k.slides)
	if err != nil {
		return err
	}
	a.Rope = everywhere(a.Layers, &Rope{Theta: k.GlobalTheta, Dims: a.HeadDim})
	local, windows, any := &Rope{Theta: *k.LocalTheta, Dims: a.HeadDim}, make([]int, a.Layers), false
	for i := range here {
		if !here[i] {
			continue
		}
		a.Rope[i] = local
		if k.Local/2 < a.Positions-1 {
			windows[i], any = k.Local, true
		}
	}
	if any {
		a.Windows = windows
	}
	return nil
}
