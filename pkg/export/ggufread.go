package export

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
)

// ReadGGUF reads the model in a GGUF file of one of the architectures llama,
// deci and gpt2 as llama.cpp understands it: the scale of scores and the
// frequencies of rotation follow from the keys alone. The caller closes the
// set's weights.
func ReadGGUF(path string) (model.Model, *param.Set, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return nil, nil, err
	}
	f, err := gguf.Read(in, st.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	m, set, err := modelOf(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, set, nil
}

// ggufHeader reads keys of the file's architecture; its first error sticks.
type ggufHeader struct {
	f    *gguf.File
	arch string
	err  error
}

func (h *ggufHeader) fail(key string, expected string) {
	if h.err == nil {
		h.err = fmt.Errorf("%w: key %s.%s is %.60v, expected %s", gguf.ErrFormat, h.arch, key, fmt.Sprint(h.f.Keys[h.arch+"."+key]), expected)
	}
}

func (h *ggufHeader) int(key string) int {
	if n, ok := integer(h.f.Keys[h.arch+"."+key]); ok {
		return n
	}
	h.fail(key, "a positive number")
	return 1
}

func integer(v any) (int, bool) {
	switch n := v.(type) {
	case uint32:
		return int(n), n > 0 && n < 1<<31
	case int32:
		return int(n), n > 0
	}
	return 0, false
}

func (h *ggufHeader) float(key string) float64 {
	if x, ok := h.f.Keys[h.arch+"."+key].(float32); ok {
		return float64(x)
	}
	h.fail(key, "a float32")
	return 1
}

// each is a key with one number for all layers, or one for each.
func (h *ggufHeader) each(key string, layers int) []int {
	out := make([]int, layers)
	switch v := h.f.Keys[h.arch+"."+key].(type) {
	case []int32:
		for i := range out {
			if len(v) != layers || v[i] < 1 {
				h.fail(key, fmt.Sprintf("%d positive numbers", layers))
				break
			}
			out[i] = int(v[i])
		}
	case []uint32:
		for i := range out {
			if len(v) != layers || v[i] < 1 || v[i] > 1<<30 {
				h.fail(key, fmt.Sprintf("%d positive numbers", layers))
				break
			}
			out[i] = int(v[i])
		}
	default:
		n := h.int(key)
		for i := range out {
			out[i] = n
		}
	}
	return out
}

func modelOf(f *gguf.File) (model.Model, *param.Set, error) {
	h := &ggufHeader{f: f}
	h.arch, _ = f.Keys["general.architecture"].(string)
	var config map[string]any
	switch h.arch {
	case "llama", "deci":
		config = h.llama()
	case "gpt2":
		config = h.gpt2()
	default:
		return nil, nil, fmt.Errorf("%w: general.architecture is %.60q, expected llama, deci or gpt2", gguf.ErrFormat, h.arch)
	}
	if h.err != nil {
		return nil, nil, h.err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, nil, err
	}
	m, err := model.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", gguf.ErrFormat, err)
	}
	return h.weights(m)
}

// weights reads the tensors of a model that the keys describe.
func (h *ggufHeader) weights(m model.Model) (model.Model, *param.Set, error) {
	f := h.f
	layout, err := param.Layout(m.Specs())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", gguf.ErrFormat, err)
	}
	tensors := ggufTensors(m, layout)
	want := map[string]bool{"rope_freqs.weight": true}
	for _, t := range tensors {
		if _, ok := f.Tensors[t.Name]; !ok {
			return nil, nil, fmt.Errorf("%w: tensor %s is missing", gguf.ErrFormat, t.Name)
		}
		want[t.Name] = true
	}
	for name := range f.Tensors {
		if !want[name] {
			return nil, nil, fmt.Errorf("%w: tensor %.80q is not expected", gguf.ErrFormat, name)
		}
	}
	// What the keys ask for must be in the file before memory is taken for it.
	elements := 0
	for name, t := range f.Tensors {
		if name != "rope_freqs.weight" {
			elements += checkpoint.Stream{Shape: t.Shape}.Elements()
		}
	}
	if layout.Count() != elements {
		return nil, nil, fmt.Errorf("%w: the keys say %d parameters, the tensors have %d", gguf.ErrFormat, layout.Count(), elements)
	}
	set, err := param.New(m.Specs())
	if err != nil {
		return nil, nil, err
	}
	err = checkpoint.ReadStreams(set, tensors, func(name string, shape []int) (func([]float32, int) error, error) {
		if t := f.Tensors[name]; !slices.Equal(t.Shape, shape) {
			return nil, fmt.Errorf("%w: tensor %s has shape %v, expected %v", gguf.ErrFormat, name, t.Shape, shape)
		}
		return func(dst []float32, at int) error { return f.Rows(name, dst, at) }, nil
	})
	if err == nil {
		err = m.Restore(set)
	}
	if err != nil {
		set.Weights.Close()
		return nil, nil, err
	}
	return m, set, nil
}

// llama is the config.json that the keys amount to. What is there of heads and
// channels in each layer is written as for a pruned model.
func (h *ggufHeader) llama() map[string]any {
	layers, width := h.int("block_count"), h.int("attention.key_length")
	if layers > 1<<12 {
		h.fail("block_count", "at most 4096")
		return nil
	}
	heads, kv, ffn := h.each("attention.head_count", layers), h.each("attention.head_count_kv", layers), h.each("feed_forward_length", layers)
	if v, n := h.int("attention.value_length"), h.int("rope.dimension_count"); v != width || n != width || width%2 != 0 {
		h.fail("attention.key_length", fmt.Sprintf("an even number, that of attention.value_length, %d, and rope.dimension_count, %d", v, n))
	}
	if h.err != nil {
		return nil
	}
	kept := model.Kept{HeadDim: width}
	pairs := make([]int, width/2)
	for i := range pairs {
		pairs[i] = i
	}
	repeat := heads[0] / max(1, kv[0])
	for i := range layers {
		if heads[i] != repeat*kv[i] {
			h.fail("attention.head_count", fmt.Sprintf("%d times attention.head_count_kv in layer %d", repeat, i))
			return nil
		}
		kept.Layers = append(kept.Layers, model.Widths{KV: kv[i], QK: width / 2, VO: width, FFN: ffn[i]})
	}
	_, untied := h.f.Tensors["output.weight"]
	_, bias := h.f.Tensors["blk.0.attn_q.bias"]
	_, mlpBias := h.f.Tensors["blk.0.ffn_gate.bias"]
	c := map[string]any{
		"model_type": "llama", "vocab_size": h.int("vocab_size"), "hidden_size": h.int("embedding_length"), "head_dim": width,
		"intermediate_size": slices.Max(ffn), "num_hidden_layers": layers, "num_key_value_heads": slices.Max(kv),
		"num_attention_heads": repeat * slices.Max(kv), "max_position_embeddings": h.int("context_length"), "hidden_act": "silu",
		"rms_norm_eps": h.float("attention.layer_norm_rms_epsilon"), "rope_theta": h.float("rope.freq_base"),
		"tie_word_embeddings": !untied, "attention_bias": bias, "mlp_bias": mlpBias, "ecospa": kept,
	}
	if factors := h.factors(width / 2); factors != nil {
		c["rope_scaling"] = longrope(factors)
	}
	return c
}

// longrope is the rope_scaling that divides frequencies by factors.
func longrope(factors []float64) map[string]any {
	return map[string]any{"rope_type": "longrope", "short_factor": factors, "long_factor": factors, "attention_factor": 1.0, "factor": 1.0}
}

// factors are those of rope_freqs.weight, nil where there is none.
func (h *ggufHeader) factors(n int) []float64 {
	t, ok := h.f.Tensors["rope_freqs.weight"]
	if !ok || h.err != nil {
		return nil
	}
	if !slices.Equal(t.Shape, []int{n}) {
		h.err = fmt.Errorf("%w: tensor rope_freqs.weight has shape %v, expected [%d]", gguf.ErrFormat, t.Shape, n)
		return nil
	}
	x := make([]float32, n)
	h.err = h.f.Rows("rope_freqs.weight", x, 0)
	out := make([]float64, n)
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func (h *ggufHeader) gpt2() map[string]any {
	return map[string]any{
		"model_type": "gpt2", "vocab_size": h.int("vocab_size"), "n_embd": h.int("embedding_length"), "n_layer": h.int("block_count"),
		"n_head": h.int("attention.head_count"), "n_inner": h.int("feed_forward_length"), "n_positions": h.int("context_length"),
		"layer_norm_epsilon": h.float("attention.layer_norm_epsilon"), "activation_function": "gelu_new",
	}
}

// ggufTensors says where the parameters of a whole family are in a GGUF file.
func ggufTensors(m model.Model, set *param.Set) []checkpoint.Tensor {
	if m.Family() == "gpt2" {
		return ggufGPT2Tensors(len(model.LayerParams(set)))
	}
	one := func(name, p string) checkpoint.Tensor {
		return checkpoint.Tensor{Name: name, Parts: []checkpoint.Part{{Param: p}}, Rank: 2}
	}
	vec := func(name, p string) checkpoint.Tensor {
		return checkpoint.Tensor{Name: name, Parts: []checkpoint.Part{{Param: p}}, Rank: 1}
	}
	ts := []checkpoint.Tensor{one("token_embd.weight", "embed"), vec("output_norm.weight", "norm")}
	if set.Param("head") != nil {
		ts = append(ts, one("output.weight", "head"))
	}
	for i := range model.LayerParams(set) {
		at := func(s string) string { return layerName("blk.%d."+s, i) }
		p := func(s string) string { return layerName("layer.%d."+s, i) }
		ts = append(ts, vec(at("attn_norm.weight"), p("norm1")), vec(at("ffn_norm.weight"), p("norm2")),
			one(at("attn_q.weight"), p("q")), one(at("attn_k.weight"), p("k")), one(at("attn_v.weight"), p("v")),
			checkpoint.Tensor{Name: at("attn_output.weight"), Parts: []checkpoint.Part{{Param: p("o"), Perm: []int{3, 0, 1, 2}}}, Axis: 1, Rank: 2},
			one(at("ffn_gate.weight"), p("gate")), one(at("ffn_up.weight"), p("up")),
			checkpoint.Tensor{Name: at("ffn_down.weight"), Parts: []checkpoint.Part{{Param: p("down"), Perm: []int{1, 0}}}, Axis: 1, Rank: 2})
		for file, of := range map[string]string{
			"attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_output": "o", "ffn_gate": "gate", "ffn_up": "up", "ffn_down": "down",
		} {
			if name := p(of + "_bias"); set.Param(name) != nil {
				ts = append(ts, vec(at(file+".bias"), name))
			}
		}
	}
	return ts
}

func ggufGPT2Tensors(layers int) []checkpoint.Tensor {
	one := func(name string, rank int, params ...string) checkpoint.Tensor {
		t := checkpoint.Tensor{Name: name, Rank: rank}
		for _, p := range params {
			t.Parts = append(t.Parts, checkpoint.Part{Param: p})
		}
		return t
	}
	ts := []checkpoint.Tensor{
		one("token_embd.weight", 2, "embed"), one("position_embd.weight", 2, "positions"),
		one("output_norm.weight", 1, "norm_gain"), one("output_norm.bias", 1, "norm_bias"),
	}
	for i := range layers {
		at := func(s string) string { return layerName("blk.%d."+s, i) }
		p := func(s string) string { return layerName("layer.%d."+s, i) }
		ts = append(ts,
			one(at("attn_norm.weight"), 1, p("norm1_gain")), one(at("attn_norm.bias"), 1, p("norm1_bias")),
			one(at("attn_qkv.weight"), 2, p("q"), p("k"), p("v")), one(at("attn_qkv.bias"), 1, p("q_bias"), p("k_bias"), p("v_bias")),
			checkpoint.Tensor{Name: at("attn_output.weight"), Parts: []checkpoint.Part{{Param: p("o"), Perm: []int{3, 0, 1, 2}}}, Axis: 1, Rank: 2},
			one(at("attn_output.bias"), 1, p("o_bias")),
			one(at("ffn_norm.weight"), 1, p("norm2_gain")), one(at("ffn_norm.bias"), 1, p("norm2_bias")),
			one(at("ffn_up.weight"), 2, p("in")), one(at("ffn_up.bias"), 1, p("in_bias")),
			checkpoint.Tensor{Name: at("ffn_down.weight"), Parts: []checkpoint.Part{{Param: p("out"), Perm: []int{1, 0}}}, Axis: 1, Rank: 2},
			one(at("ffn_down.bias"), 1, p("out_bias")))
	}
	return ts
}
