package model

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// gpt2 is GPT-2 (Radford et al., 2019): learned positions, pre-norm blocks of
// LayerNorm, multi-head attention and GELU, biases, a head tied to the embedding.
//
//	x = embed(ids) + pos                              (N, E)
//	x = x + O(attention(QKV(norm1(x))))               per layer
//	x = x + out(gelu(in(norm2(x))))                   per layer
//	loss = cross-entropy of embedᵀ(norm(x))
//
// Its fields are the keys of Hugging Face's config.json.
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
	BOS           *int     `json:"bos_token_id"`
	EOS           *eosIDs  `json:"eos_token_id"`
	Ecospa        *Kept    `json:"ecospa,omitempty"`
}

func init() {
	register("gpt2", family{parse: parseGPT2, new: newGPT2})
}

func newGPT2(s Sizes) (Model, error) {
	if s.FFN == 0 {
		s.FFN = 4 * s.Width
	}
	switch {
	case s.Tied != nil && !*s.Tied:
		return nil, fmt.Errorf("model.tied is false, but the head of gpt2 is always tied")
	case s.KVHeads != s.Heads:
		return nil, fmt.Errorf("model.kv_heads is %d, but gpt2 has as many as heads, %d", s.KVHeads, s.Heads)
	case s.HeadDim*s.Heads != s.Width:
		return nil, fmt.Errorf("model.head_dim is %d, but gpt2's is width / heads, %d / %d", s.HeadDim, s.Width, s.Heads)
	}
	m := &gpt2{
		VocabSize: s.Vocab, Positions: s.Context, Embed: s.Width, Layers: s.Layers, Heads: s.Heads, Inner: &s.FFN,
		Activation: "gelu_new", Eps: 1e-5, InitRange: 0.02, ScaleAttn: true, Tied: true,
	}
	return m, m.validate()
}

func parseGPT2(config []byte) (Model, error) {
	m := &gpt2{Positions: 1024, Activation: "gelu_new", Eps: 1e-5, InitRange: 0.02, ScaleAttn: true, Tied: true}
	if err := strictJSON(config, m, gpt2Ignored); err != nil {
		return nil, err
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return m, nil
}

// gpt2Ignored are keys that do not change what the model computes here: dropout
// is a matter of training, the summary head is never read.
var gpt2Ignored = []string{
	"n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_activation", "summary_first_dropout",
	"summary_proj_to_labels", "summary_type", "summary_use_proj",
}

func (m *gpt2) validate() error {
	m.ModelType, m.Architectures = "gpt2", []string{"GPT2LMHeadModel"}
	switch {
	case m.Layers < 1 || m.Layers > maxLayers || m.Heads < 1 || m.Embed < 1 || m.Embed%m.Heads != 0:
		return fmt.Errorf("n_layer %d, n_embd %d, n_head %d: expected positive, n_embd divisible by n_head", m.Layers, m.Embed, m.Heads)
	case m.VocabSize < 1 || m.Positions < 1 || m.inner() < 1:
		return fmt.Errorf("vocab_size %d, n_positions %d, n_inner %d: expected positive", m.VocabSize, m.Positions, m.inner())
	case m.Activation != "gelu_new" && m.Activation != "gelu_pytorch_tanh" && m.Activation != "gelu":
		return fmt.Errorf("activation_function is %q, expected gelu_new, gelu_pytorch_tanh or gelu", m.Activation)
	case !m.ScaleAttn || !m.Tied:
		return fmt.Errorf("scale_attn_weights %t, tie_word_embeddings %t: expected true", m.ScaleAttn, m.Tied)
	}
	if m.Ecospa != nil {
		return m.Ecospa.check(m.Layers, m.dense())
	}
	return nil
}

func (m *gpt2) inner() int {
	if m.Inner == nil {
		return 4 * m.Embed
	}
	return *m.Inner
}

func (m *gpt2) headDim() int { return m.Embed / m.Heads }

func (m *gpt2) dense() Widths {
	return Widths{KV: m.Heads, QK: m.headDim(), VO: m.headDim(), FFN: m.inner()}
}

func (m *gpt2) Family() string                             { return "gpt2" }
func (m *gpt2) Context() int                               { return m.Positions }
func (m *gpt2) Vocab() int                                 { return m.VocabSize }
func (m *gpt2) Head(set *param.Set) (w, bias *param.Param) { return set.Param("embed"), nil }
func (m *gpt2) Specs() []param.Spec                        { return m.specs(widths(m.Ecospa, m.Layers, m.dense())) }
func (m *gpt2) DenseSpecs() []param.Spec                   { return m.specs(widths(nil, m.Layers, m.dense())) }
func (m *gpt2) Restore(set *param.Set) error               { return nil }

func (m *gpt2) specs(layers []Widths) []param.Spec {
	std := float32(m.InitRange)
	weight, proj := param.Init{Std: std}, param.Init{Std: std / float32(math.Sqrt(2*float64(m.Layers)))}
	e := param.Dim{Name: "embed", Size: m.Embed}
	norm := func(name string) []param.Spec {
		return []param.Spec{
			{Name: name + "_gain", Dims: []param.Dim{e}, Block: name, Init: param.Init{Mean: 1}},
			{Name: name + "_bias", Dims: []param.Dim{e}, Block: name},
		}
	}
	specs := []param.Spec{
		{Name: "embed", Dims: []param.Dim{{Name: "vocab", Size: m.VocabSize}, e}, Init: weight},
		{Name: "positions", Dims: []param.Dim{{Name: "positions", Size: m.Positions}, e}, Init: weight},
	}
	for i, w := range layers {
		kv := param.Dim{Name: dim(i, "kv"), Size: w.KV}
		r := param.Dim{Size: 1} // query heads of a K/V head
		qk := param.Dim{Name: dim(i, "qk"), Size: w.QK, Per: kv.Name}
		vo := param.Dim{Name: dim(i, "vo"), Size: w.VO, Per: kv.Name}
		ffn := param.Dim{Name: dim(i, "ffn"), Size: w.FFN}
		at := func(s string) string { return dim(i, s) }
		specs = append(specs, norm(at("norm1"))...)
		specs = append(specs,
			param.Spec{Name: at("q"), Dims: []param.Dim{kv, r, qk, e}, Block: at("qkv"), Decay: true, Init: weight},
			param.Spec{Name: at("k"), Dims: []param.Dim{kv, qk, e}, Block: at("qkv"), Decay: true, Init: weight},
			param.Spec{Name: at("v"), Dims: []param.Dim{kv, vo, e}, Block: at("qkv"), Decay: true, Init: weight},
			param.Spec{Name: at("q_bias"), Dims: []param.Dim{kv, r, qk}, Block: at("qkv_bias")},
			param.Spec{Name: at("k_bias"), Dims: []param.Dim{kv, qk}, Block: at("qkv_bias")},
			param.Spec{Name: at("v_bias"), Dims: []param.Dim{kv, vo}, Block: at("qkv_bias")},
			param.Spec{Name: at("o"), Dims: []param.Dim{kv, r, vo, e}, Decay: true, Init: proj},
			param.Spec{Name: at("o_bias"), Dims: []param.Dim{e}})
		specs = append(specs, norm(at("norm2"))...)
		specs = append(specs,
			param.Spec{Name: at("in"), Dims: []param.Dim{ffn, e}, Decay: true, Init: weight},
			param.Spec{Name: at("in_bias"), Dims: []param.Dim{ffn}},
			param.Spec{Name: at("out"), Dims: []param.Dim{ffn, e}, Decay: true, Init: proj},
			param.Spec{Name: at("out_bias"), Dims: []param.Dim{e}})
	}
	return append(specs, norm("norm")...)
}

// hidden is the residual stream behind the last norm, (N, E), from the layer
// `from` on; last asks for each sequence's last row alone, (B, E).
func (m *gpt2) hidden(b *graph.Builder, cache *graph.Cache, B, T, from int, last bool) *graph.Node {
	eps := float32(m.Eps)
	x := start(b, B*T, m.Embed, from, func() *graph.Node {
		x := b.Embed(b.IDs("ids", B*T), b.Param("embed"))
		if cache != nil {
			return b.AddPositions(x, b.Param("positions"), T, cache)
		}
		return b.AddRows(x, b.Param("positions"), T)
	}) // (N, E)
	for i := from; i < m.Layers; i++ {
		b.Site(dim(i, "input"), x)
		at := func(s string) *graph.Node { return b.Param(dim(i, s)) }
		w := Layer(b.Set(), i)
		s := graph.Shape{
			B: B, T: T, G: w.KV, R: 1, QK: w.QK, VO: w.VO,
			Scale: float32(m.Scale()), Causal: true,
		}
		endLayer, endAttention := checkpoints(b)
		h := b.LayerNorm(x, at("norm1"), eps)
		qkv := b.Linear(h, at("qkv"), at("qkv_bias")) // (N, G·(2·QK + VO))
		ctx := attend(b, qkv, s, i, cache, 1)         // (N, G·VO)
		if last && i == m.Layers-1 {
			ctx, x = lastRow(b, ctx, T), lastRow(b, x, T) // N = B from here on
		}
		x = b.LinearIn(ctx, at("o"), at("o_bias"), x) // (N, E)
		endAttention()
		h = b.LayerNorm(x, at("norm2"), eps)     //
		h = b.Linear(h, at("in"), at("in_bias")) // (N, F)
		h = b.GELU(h, m.Activation != "gelu")    // (N, F)
		b.Site(dim(i, "hidden"), h)
		b.Tap(dim(i, "ffn"), h, B, 0, w.FFN, 1)         //
		x = b.LinearIn(h, at("out"), at("out_bias"), x) // (N, E)
		endLayer()
	}
	return b.LayerNorm(x, b.Param("norm"), eps)
}

func (m *gpt2) Loss(b *graph.Builder, B, T, from int) {
	x := m.hidden(b, nil, B, T, from, false)
	b.HeadLoss(x, b.Param("embed"), nil, b.IDs("targets", B*T), b.Scalar("scale"), b.Smoothing())
}

func (m *gpt2) Decode(b *graph.Builder, cache *graph.Cache, B, T int, all bool) {
	b.Output("logits", b.Linear(m.hidden(b, cache, B, T, 0, !all), b.Param("embed"), nil))
}

func (m *gpt2) Scale() float64 { return 1 / math.Sqrt(float64(m.headDim())) }

func (m *gpt2) Cache(set *param.Set) [][2]int { return cacheWidths(set, m.Layers, 1) }

func (m *gpt2) Config(set *param.Set) ([]byte, error) {
	c := *m
	c.Ecospa = keptOf(set, m.Layers, m.headDim(), count(m.DenseSpecs()), false)
	return json.MarshalIndent(&c, "", "  ")
}

// Tensors: the weights of Conv1D are stored [in, out]; files written from the
// bare model lack the prefix "transformer.".
func (m *gpt2) Tensors(set *param.Set) []checkpoint.Tensor {
	named := func(name string, axis int, parts ...checkpoint.Part) checkpoint.Tensor {
		return checkpoint.Tensor{Name: "transformer." + name, Aliases: []string{name}, Parts: parts, Axis: axis, Rank: axis + 1}
	}
	one := func(name, p string) checkpoint.Tensor {
		t := whole("transformer."+name, p)
		t.Aliases = []string{name}
		return t
	}
	ts := []checkpoint.Tensor{one("wte.weight", "embed"), one("wpe.weight", "positions")}
	for i := range m.Layers {
		hf := func(s string) string { return fmt.Sprintf("h.%d.%s", i, s) }
		at := func(s string) string { return dim(i, s) }
		ts = append(ts,
			one(hf("ln_1.weight"), at("norm1_gain")), one(hf("ln_1.bias"), at("norm1_bias")),
			named(hf("attn.c_attn.weight"), 1,
				checkpoint.Part{Param: at("q"), Perm: []int{3, 0, 1, 2}},
				checkpoint.Part{Param: at("k"), Perm: []int{2, 0, 1}},
				checkpoint.Part{Param: at("v"), Perm: []int{2, 0, 1}}),
			named(hf("attn.c_attn.bias"), 0,
				checkpoint.Part{Param: at("q_bias")}, checkpoint.Part{Param: at("k_bias")}, checkpoint.Part{Param: at("v_bias")}),
			checkpoint.Tensor{Name: "transformer." + hf("attn.c_proj.weight"), Aliases: []string{hf("attn.c_proj.weight")}, Parts: []checkpoint.Part{{Param: at("o")}}, Rank: 2},
			one(hf("attn.c_proj.bias"), at("o_bias")),
			one(hf("ln_2.weight"), at("norm2_gain")), one(hf("ln_2.bias"), at("norm2_bias")),
			named(hf("mlp.c_fc.weight"), 1, checkpoint.Part{Param: at("in"), Perm: []int{1, 0}}),
			one(hf("mlp.c_fc.bias"), at("in_bias")),
			one(hf("mlp.c_proj.weight"), at("out")),
			one(hf("mlp.c_proj.bias"), at("out_bias")))
	}
	return append(ts, one("ln_f.weight", "norm_gain"), one("ln_f.bias", "norm_bias"))
}
