package export

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// source is the model that is exported: what its config.json says, and its
// parameters.
type source struct {
	config
	set   *param.Set
	raw   map[string]any // config.json
	freqs func(layer int) [][]float64
}

// config is what the formats need of config.json, the families' keys side by side.
type config struct {
	ModelType     string     `json:"model_type"`
	Vocab         int        `json:"vocab_size"`
	Hidden        int        `json:"hidden_size"`
	Intermediate  int        `json:"intermediate_size"`
	Layers        int        `json:"num_hidden_layers"`
	Heads         int        `json:"num_attention_heads"`
	KVHeads       int        `json:"num_key_value_heads"`
	HeadDim       int        `json:"head_dim"`
	MaxPositions  int        `json:"max_position_embeddings"`
	RMSEps        float64    `json:"rms_norm_eps"`
	Tied          bool       `json:"tie_word_embeddings"`
	AttentionBias bool       `json:"attention_bias"`
	MLPBias       bool       `json:"mlp_bias"`
	RopeTheta     float64    `json:"rope_theta"`
	NPositions    int        `json:"n_positions"`
	NEmbd         int        `json:"n_embd"`
	NLayer        int        `json:"n_layer"`
	NHead         int        `json:"n_head"`
	NInner        *int       `json:"n_inner"`
	Activation    string     `json:"activation_function"`
	LayerEps      float64    `json:"layer_norm_epsilon"`
	BOS           *int       `json:"bos_token_id"`
	ViTEps        float64    `json:"layer_norm_eps"`
	HiddenAct     string     `json:"hidden_act"`
	ImageSize     int        `json:"image_size"`
	PatchSize     int        `json:"patch_size"`
	Channels      int        `json:"num_channels"`
	Architectures []string   `json:"architectures"`
	Ecospa        model.Kept `json:"ecospa"`
}

func newSource(m model.Model, set *param.Set) (*source, error) {
	text, err := m.Config(set)
	if err != nil {
		return nil, err
	}
	s := &source{set: set}
	if err := json.Unmarshal(text, &s.config); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := json.Unmarshal(text, &s.raw); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	switch s.ModelType {
	case "gpt2":
		s.Hidden, s.Layers, s.Heads, s.KVHeads, s.MaxPositions = s.NEmbd, s.NLayer, s.NHead, s.NHead, s.NPositions
		s.HeadDim, s.Intermediate = s.NEmbd/s.NHead, 4*s.NEmbd
		if s.NInner != nil {
			s.Intermediate = *s.NInner
		}
	case "vit", "deit":
		s.KVHeads, s.HeadDim = s.Heads, s.Hidden/s.Heads
		s.LayerEps, s.Activation = s.ViTEps, s.HiddenAct
	case "llama":
		rotary, ok := m.(model.Rotary)
		if !ok {
			return nil, fmt.Errorf("export: family %s has no rotation frequencies", m.Family())
		}
		s.freqs = func(layer int) [][]float64 { return rotary.Frequencies(set, layer) }
	}
	return s, nil
}

// bos is the id of the beginning of a text that config.json names, or -1.
func (s *source) bos() int {
	if s.BOS == nil {
		return -1
	}
	return *s.BOS
}

// images reports whether the model classifies images.
func (s *source) images() bool { return s.ModelType == "vit" || s.ModelType == "deit" }

// repeat is R, the query heads of a K/V head.
func (s *source) repeat() int { return s.Heads / s.KVHeads }

func (s *source) widths(layer int) model.Widths { return model.Layer(s.set, layer) }

// param is a parameter of a layer.
func (s *source) param(layer int, name string) *param.Param {
	return s.set.Param(fmt.Sprintf("layer.%d.%s", layer, name))
}

// origin is the dense pairs that each K/V head of a layer still has; without
// RoPE nil.
func (s *source) origin(layer int) [][]int { return s.set.Origin(fmt.Sprintf("layer.%d.qk", layer)) }

// at picks all rows of a parameter of a layer, each as wide as the residual stream.
func (s *source) at(layer int, name string) rows { return take(s.param(layer, name), s.Hidden, nil) }

// bias picks all elements of a vector of a layer.
func (s *source) bias(layer int, name string) rows { return take(s.param(layer, name), 1, nil) }

// whole picks all rows of a parameter outside of the layers.
func (s *source) whole(name string) rows { return take(s.set.Param(name), s.Hidden, nil) }

// scale multiplies scores: 1/sqrt of the dense model's head width.
func (s *source) scale() float64 { return 1 / math.Sqrt(float64(s.HeadDim)) }
