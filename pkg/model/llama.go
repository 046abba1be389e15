package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// llama is LLaMA (https://arxiv.org/abs/2302.13971): pre-norm blocks of RMSNorm,
// rotary positions, grouped-query attention and SwiGLU.
//
//	x = embed(ids)                                   (N, E)
//	x = x + O(attention(rope(QKV(norm1(x)))))        per layer
//	x = x + down(silu(gate(norm2(x)))·up(norm2(x)))  per layer
//	loss = cross-entropy of head(norm(x))
//
// Its fields are the keys of Hugging Face's config.json.
type llama struct {
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
	BOS           *int       `json:"bos_token_id"`
	EOS           *eosIDs    `json:"eos_token_id"`
	TorchDtype    string     `json:"torch_dtype,omitempty"`
	Ecospa        *Kept      `json:"ecospa,omitempty"`
}

func init() {
	register("llama", family{parse: parseLlama, new: newLlama})
}

func newLlama(s Sizes) (Model, error) {
	if s.FFN == 0 {
		s.FFN = (8*s.Width/3 + 31) / 32 * 32
	}
	m := &llama{
		VocabSize: s.Vocab, Hidden: s.Width, Intermediate: s.FFN, Layers: s.Layers, Heads: s.Heads, KVHeads: s.KVHeads,
		HeadDim: s.HeadDim, MaxPositions: s.Context, Eps: 1e-6, RopeTheta: s.RopeTheta, Tied: s.Tied != nil && *s.Tied,
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("model.%w", err)
	}
	return m, nil
}

func parseLlama(config []byte) (Model, error) {
	m := &llama{Eps: 1e-6, RopeTheta: 10000, MaxPositions: 2048, Act: "silu"}
	if err := strictJSON(config, m, llamaIgnored); err != nil {
		return nil, err
	}
	if m.RopeScaling != nil && m.RopeParams != nil && !m.RopeScaling.same(m.RopeParams) {
		return nil, errors.New("config.json: rope_scaling and rope_parameters say different things")
	}
	if m.KVHeads == 0 {
		m.KVHeads = m.Heads
	}
	if m.HeadDim == 0 && m.Heads > 0 {
		m.HeadDim = m.Hidden / m.Heads
	}
	if p := m.RopeParams; p != nil {
		if p.Theta != 0 {
			m.RopeTheta = p.Theta
		}
		if p.kind() != "default" && m.RopeScaling == nil {
			m.RopeScaling = p
		}
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return m, nil
}

// llamaIgnored are keys that do not change what the model computes here.
var llamaIgnored = []string{"pretraining_tp", "attention_dropout", "use_cache", "pad_token_id", "per_layer_config"}

func (m *llama) validate() error {
	m.ModelType, m.Architectures = "llama", []string{"LlamaForCausalLM"}
	if m.Act == "" {
		m.Act = "silu"
	}
	if m.InitRange == 0 {
		m.InitRange = 0.02
	}
	switch {
	case m.Act != "silu":
		return fmt.Errorf("hidden_act is %q, expected silu", m.Act)
	case m.Layers < 1 || m.Layers > maxLayers || m.Heads < 1 || m.KVHeads < 1 || m.Heads%m.KVHeads != 0:
		return fmt.Errorf("num_hidden_layers %d, num_attention_heads %d, num_key_value_heads %d: expected positive, heads divisible by K/V heads", m.Layers, m.Heads, m.KVHeads)
	case m.HeadDim < 2 || m.HeadDim%2 != 0:
		return fmt.Errorf("head_dim is %d, expected an even number for rotary positions", m.HeadDim)
	case m.Intermediate < 1 || m.Hidden < 1 || m.VocabSize < 1 || m.MaxPositions < 1:
		return fmt.Errorf("intermediate_size %d, hidden_size %d, vocab_size %d, max_position_embeddings %d: expected positive", m.Intermediate, m.Hidden, m.VocabSize, m.MaxPositions)
	case !(m.RopeTheta > 1):
		return fmt.Errorf("rope_theta is %g, expected above 1", m.RopeTheta)
	}
	if err := m.RopeScaling.check(m.HeadDim / 2); err != nil {
		return err
	}
	if m.Ecospa != nil {
		return m.Ecospa.check(m.Layers, m.dense())
	}
	return nil
}

func (m *llama) dense() Widths {
	return Widths{KV: m.KVHeads, QK: m.HeadDim / 2, VO: m.HeadDim, FFN: m.Intermediate}
}

func (m *llama) Family() string { return "llama" }
func (m *llama) Context() int   { return m.MaxPositions }
func (m *llama) Vocab() int     { return m.VocabSize }

func (m *llama) Specs() []param.Spec {
	return m.specs(widths(m.Ecospa, m.Layers, m.dense()))
}

func (m *llama) DenseSpecs() []param.Spec { return m.specs(widths(nil, m.Layers, m.dense())) }

func (m *llama) specs(layers []Widths) []param.Spec {
	std := float32(m.InitRange)
	weight, proj := param.Init{Std: std}, param.Init{Std: std / float32(math.Sqrt(2*float64(m.Layers)))}
	one := param.Init{Mean: 1}
	e := param.Dim{Name: "embed", Size: m.Hidden}
	r, two := param.Dim{Size: m.Heads / m.KVHeads}, param.Dim{Size: 2}
	table := []param.Dim{{Name: "vocab", Size: m.VocabSize}, e}
	specs := []param.Spec{{Name: "embed", Dims: table, Init: weight}}
	for i, w := range layers {
		kv := param.Dim{Name: dim(i, "kv"), Size: w.KV}
		qk := param.Dim{Name: dim(i, "qk"), Size: w.QK, Per: kv.Name, Track: true}
		vo := param.Dim{Name: dim(i, "vo"), Size: w.VO, Per: kv.Name}
		ffn := param.Dim{Name: dim(i, "ffn"), Size: w.FFN}
		at := func(s string) string { return dim(i, s) }
		specs = append(specs,
			param.Spec{Name: at("norm1"), Dims: []param.Dim{e}, Init: one},
			param.Spec{Name: at("q"), Dims: []param.Dim{kv, r, qk, two, e}, Block: at("qkv"), Decay: true, Init: weight},
			param.Spec{Name: at("k"), Dims: []param.Dim{kv, qk, two, e}, Block: at("qkv"), Decay: true, Init: weight},
			param.Spec{Name: at("v"), Dims: []param.Dim{kv, vo, e}, Block: at("qkv"), Decay: true, Init: weight})
		if m.AttentionBias {
			specs = append(specs,
				param.Spec{Name: at("q_bias"), Dims: []param.Dim{kv, r, qk, two}, Block: at("qkv_bias")},
				param.Spec{Name: at("k_bias"), Dims: []param.Dim{kv, qk, two}, Block: at("qkv_bias")},
				param.Spec{Name: at("v_bias"), Dims: []param.Dim{kv, vo}, Block: at("qkv_bias")},
				param.Spec{Name: at("o_bias"), Dims: []param.Dim{e}})
		}
		specs = append(specs,
			param.Spec{Name: at("o"), Dims: []param.Dim{kv, r, vo, e}, Decay: true, Init: proj},
			param.Spec{Name: at("norm2"), Dims: []param.Dim{e}, Init: one},
			param.Spec{Name: at("gate"), Dims: []param.Dim{ffn, e}, Block: at("gate_up"), Decay: true, Init: weight},
			param.Spec{Name: at("up"), Dims: []param.Dim{ffn, e}, Block: at("gate_up"), Decay: true, Init: weight},
			param.Spec{Name: at("down"), Dims: []param.Dim{ffn, e}, Decay: true, Init: proj})
		if m.MLPBias {
			specs = append(specs,
				param.Spec{Name: at("gate_bias"), Dims: []param.Dim{ffn}, Block: at("gate_up_bias")},
				param.Spec{Name: at("up_bias"), Dims: []param.Dim{ffn}, Block: at("gate_up_bias")},
				param.Spec{Name: at("down_bias"), Dims: []param.Dim{e}})
		}
	}
	specs = append(specs, param.Spec{Name: "norm", Dims: []param.Dim{e}, Init: one})
	if !m.Tied {
		specs = append(specs, param.Spec{Name: "head", Dims: table, Init: weight})
	}
	return specs
}

func (m *llama) Restore(set *param.Set) error {
	return restorePairs(set, m.Ecospa, m.HeadDim/2)
}

// shape is the attention of layer i at its present widths.
func (m *llama) shape(b *graph.Builder, i, B, T int) graph.Shape {
	w := Layer(b.Set(), i)
	return graph.Shape{
		B: B, T: T, G: w.KV, R: m.Heads / m.KVHeads, QK: 2 * w.QK, VO: w.VO,
		Scale: float32(m.Scale()), Causal: true,
	}
}

// hidden is the residual stream behind the last norm, (N, E), from the layer
// `from` on; last asks for each sequence's last row alone, (B, E).
func (m *llama) hidden(b *graph.Builder, cache *graph.Cache, B, T, from int, last bool) *graph.Node {
	eps := float32(m.Eps)
	positions := T
	if cache != nil {
		positions = cache.Capacity
	}
	x := start(b, B*T, m.Hidden, from, func() *graph.Node {
		return b.Embed(b.IDs("ids", B*T), b.Param("embed"))
	}) // (N, E)
	for i := from; i < m.Layers; i++ {
		b.Site(dim(i, "input"), x)
		at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
		s := m.shape(b, i, B, T)
		endLayer, endAttention := checkpoints(b)
		h := b.RMSNorm(x, at("norm1"), eps)
		qkv := b.Linear(h, at("qkv"), at("qkv_bias")) // (N, G·R·QK + G·QK + G·VO)
		qkv = b.RoPE(qkv, m.frequencies(b.Set(), i), s, positions, cache)
		ctx := attend(b, qkv, s, i, cache, 2) // (N, G·R·VO)
		if last && i == m.Layers-1 {
			ctx, x = lastRow(b, ctx, T), lastRow(b, x, T) // N = B from here on
		}
		x = b.LinearIn(ctx, at("o"), at("o_bias"), x) // (N, E)
		endAttention()
		h = b.RMSNorm(x, at("norm2"), eps)                   //
		gu := b.Linear(h, at("gate_up"), at("gate_up_bias")) // (N, 2F)
		h = b.SwiGLU(gu)                                     // (N, F)
		b.Site(dim(i, "hidden"), h)
		b.Tap(dim(i, "ffn"), h, B, 0, Layer(b.Set(), i).FFN, 1)
		x = b.LinearIn(h, at("down"), at("down_bias"), x) // (N, E)
		endLayer()
	}
	return b.RMSNorm(x, b.Param("norm"), eps)
}

func (m *llama) head(b *graph.Builder) *graph.Node {
	if m.Tied {
		return b.Param("embed")
	}
	return b.Param("head")
}

func (m *llama) Loss(b *graph.Builder, B, T, from int) {
	x := m.hidden(b, nil, B, T, from, false)
	b.HeadLoss(x, m.head(b), nil, b.IDs("targets", B*T), b.Scalar("scale"), b.Smoothing())
}

func (m *llama) Decode(b *graph.Builder, cache *graph.Cache, B, T int, all bool) {
	b.Output("logits", b.Linear(m.hidden(b, cache, B, T, 0, !all), m.head(b), nil))
}

func (m *llama) Head(set *param.Set) (w, bias *param.Param) {
	if m.Tied {
		return set.Param("embed"), nil
	}
	return set.Param("head"), nil
}

func (m *llama) Scale() float64 { return 1 / math.Sqrt(float64(m.HeadDim)) }

func (m *llama) Cache(set *param.Set) [][2]int { return cacheWidths(set, m.Layers, 2) }

// Config writes intermediate_size and the head counts of the dense model: the
// "ecospa" object has the present widths.
func (m *llama) Config(set *param.Set) ([]byte, error) {
	c := *m
	c.Ecospa = keptOf(set, m.Layers, m.HeadDim, count(m.DenseSpecs()), true)
	return json.MarshalIndent(&c, "", "  ")
}

func (m *llama) Tensors(set *param.Set) []checkpoint.Tensor {
	ts := []checkpoint.Tensor{whole("model.embed_tokens.weight", "embed")}
	for i := range m.Layers {
		hf := func(s string) string { return fmt.Sprintf("model.layers.%d.%s", i, s) }
		at := func(s string) string { return dim(i, s) }
		ts = append(ts,
			whole(hf("input_layernorm.weight"), at("norm1")),
			checkpoint.Tensor{Name: hf("self_attn.q_proj.weight"), Parts: []checkpoint.Part{{Param: at("q"), Perm: []int{0, 1, 3, 2, 4}}}, Rank: 2},
			checkpoint.Tensor{Name: hf("self_attn.k_proj.weight"), Parts: []checkpoint.Part{{Param: at("k"), Perm: []int{0, 2, 1, 3}}}, Rank: 2},
			checkpoint.Tensor{Name: hf("self_attn.v_proj.weight"), Parts: []checkpoint.Part{{Param: at("v")}}, Rank: 2},
			checkpoint.Tensor{Name: hf("self_attn.o_proj.weight"), Parts: []checkpoint.Part{{Param: at("o"), Perm: []int{3, 0, 1, 2}}}, Axis: 1, Rank: 2},
			whole(hf("post_attention_layernorm.weight"), at("norm2")),
			whole(hf("mlp.gate_proj.weight"), at("gate")),
			whole(hf("mlp.up_proj.weight"), at("up")),
			checkpoint.Tensor{Name: hf("mlp.down_proj.weight"), Parts: []checkpoint.Part{{Param: at("down"), Perm: []int{1, 0}}}, Axis: 1, Rank: 2})
		if m.AttentionBias {
			ts = append(ts,
				checkpoint.Tensor{Name: hf("self_attn.q_proj.bias"), Parts: []checkpoint.Part{{Param: at("q_bias"), Perm: []int{0, 1, 3, 2}}}, Rank: 1},
				checkpoint.Tensor{Name: hf("self_attn.k_proj.bias"), Parts: []checkpoint.Part{{Param: at("k_bias"), Perm: []int{0, 2, 1}}}, Rank: 1},
				checkpoint.Tensor{Name: hf("self_attn.v_proj.bias"), Parts: []checkpoint.Part{{Param: at("v_bias")}}, Rank: 1},
				whole(hf("self_attn.o_proj.bias"), at("o_bias")))
		}
		if m.MLPBias {
			ts = append(ts, whole(hf("mlp.gate_proj.bias"), at("gate_bias")), whole(hf("mlp.up_proj.bias"), at("up_bias")), whole(hf("mlp.down_proj.bias"), at("down_bias")))
		}
	}
	ts = append(ts, whole("model.norm.weight", "norm"))
	if !m.Tied {
		ts = append(ts, whole("lm_head.weight", "head"))
	}
	return ts
}
