package export

import (
	"encoding/json"
	"io"
	"maps"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
)

// Constraints of transformers: one number for all layers.
var (
	hfLlama = rules{name: "transformers' LlamaForCausalLM", flag: "hf", divisible: true}
	hfGPT2  = rules{name: "transformers' GPT2LMHeadModel", flag: "hf", product: true}
	hfViT   = rules{name: "transformers' classifier of images", flag: "hf", product: true}
)

var hfLlamaNames = llamaNames{
	embed: "model.embed_tokens", norm: "model.norm", head: "lm_head", norm1: "model.layers.%d.input_layernorm", norm2: "model.layers.%d.post_attention_layernorm",
	q: "model.layers.%d.self_attn.q_proj", k: "model.layers.%d.self_attn.k_proj", v: "model.layers.%d.self_attn.v_proj", o: "model.layers.%d.self_attn.o_proj",
	gate: "model.layers.%d.mlp.gate_proj", up: "model.layers.%d.mlp.up_proj", down: "model.layers.%d.mlp.down_proj", weight: ".weight", bias: ".bias", halves: true,
}

// hf plans a directory of transformers.
func (p *Plan) hf(s *source, o Options) error {
	var f *fit
	var streams []checkpoint.Stream
	config := maps.Clone(s.raw)
	switch s.ModelType {
	case "gpt2":
		f = s.fitTo(hfGPT2)
		streams = s.hfGPT2(f)
		p.Architecture = "GPT2LMHeadModel"
		config["n_inner"] = f.layers[0].ffn
	case "llama":
		f = s.fitTo(hfLlama)
		streams = s.llama(f, hfLlamaNames)
		p.Architecture = "LlamaForCausalLM"
		s.hfLlamaConfig(f, config)
	case "vit", "deit":
		f = s.fitTo(hfViT)
		streams = s.hfViT(f)
		p.Architecture = s.Architectures[0]
		config["intermediate_size"] = f.layers[0].ffn
	}
	p.Gaps = f.gaps
	// The file is whole in its own terms; what the model was says "from".
	own := model.Kept{HeadDim: f.headDim, Dense: s.Ecospa.Dense}
	for _, l := range f.layers {
		w := model.Widths{KV: l.kv, QK: f.headDim, VO: f.headDim, FFN: l.ffn}
		if f.pairs != nil {
			w.QK /= 2
		}
		own.Layers = append(own.Layers, w)
	}
	config["ecospa"] = struct {
		model.Kept
		From model.Kept `json:"from"`
	}{own, s.Ecospa}
	config["torch_dtype"] = map[string]string{"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[o.DType]
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	size := int64(0)
	for _, t := range streams {
		p.count(t, o.DType)
		size += int64(t.Elements()) * map[string]int64{"F32": 4, "F16": 2, "BF16": 2}[o.DType]
	}
	p.files = []checkpoint.File{
		checkpoint.BytesFile("config.json", append(text, '\n')),
		{Name: "model.safetensors", Size: size, Write: func(w io.Writer) error { return checkpoint.WriteStreams(w, streams, o.DType) }},
	}
	if s.images() {
		p.files = append(p.files, checkpoint.JSONFile("preprocessor_config.json", s.preprocessor()))
	}
	if o.Tokenizer != nil {
		settings, err := s.tokenizerSettings(o)
		if err != nil {
			return err
		}
		p.files = append(p.files, checkpoint.BytesFile("tokenizer.json", o.Tokenizer), checkpoint.JSONFile("tokenizer_config.json", settings))
	}
	p.Loaders = []string{"transformers " + p.Architecture, "ecospa"}
	return nil
}

// hfLlamaConfig gives config.json the fit's shapes, and the frequencies where
// they are not those of the head width. transformers 4 reads rope_theta and
// rope_scaling, 5 reads rope_parameters.
func (s *source) hfLlamaConfig(f *fit, config map[string]any) {
	config["head_dim"] = f.headDim
	config["num_key_value_heads"] = f.layers[0].kv
	config["num_attention_heads"] = f.layers[0].kv * s.repeat()
	config["intermediate_size"] = f.layers[0].ffn
	scaling, _ := config["rope_scaling"].(map[string]any)
	if f.headDim != s.HeadDim {
		scaling = nil // the pairs that are left may have the narrower head's own frequencies
		if f.factors != nil {
			scaling = longrope(f.factors)
			scaling["original_max_position_embeddings"] = s.MaxPositions
		}
		config["rope_scaling"] = scaling
	}
	parameters := map[string]any{"rope_type": "default"}
	maps.Copy(parameters, scaling)
	parameters["rope_theta"] = s.RopeTheta
	config["rope_parameters"] = parameters
}

// hfGPT2 lists a gpt2's tensors: the weights of its Conv1D are [in, out].
func (s *source) hfGPT2(f *fit) []checkpoint.Stream {
	vec := func(name, p string) checkpoint.Stream {
		return vector("transformer."+name, take(s.set.Param(p), 1, nil))
	}
	out := []checkpoint.Stream{stacked("transformer.wte.weight", s.whole("embed")), stacked("transformer.wpe.weight", s.whole("positions"))}
	for i := range s.Layers {
		at := func(name string) string { return layerName("transformer.h.%d."+name, i) }
		w := func(p string, pick []int) rows { return take(s.param(i, p), s.Hidden, pick) }
		b := func(p string, pick []int) rows { return take(s.param(i, p), 1, pick) }
		qk, v, ffn := f.queryRows(s, i, 1, false), f.valueRows(s, i, 1), f.ffnRows(s, i)
		out = append(out,
			vector(at("ln_1.weight"), s.bias(i, "norm1_gain")), vector(at("ln_1.bias"), s.bias(i, "norm1_bias")),
			transposed(at("attn.c_attn.weight"), w("q", qk), w("k", qk), w("v", v)),
			vector(at("attn.c_attn.bias"), b("q_bias", qk), b("k_bias", qk), b("v_bias", v)),
			stacked(at("attn.c_proj.weight"), w("o", v)), vector(at("attn.c_proj.bias"), b("o_bias", nil)),
			vector(at("ln_2.weight"), s.bias(i, "norm2_gain")), vector(at("ln_2.bias"), s.bias(i, "norm2_bias")),
			transposed(at("mlp.c_fc.weight"), w("in", ffn)), vector(at("mlp.c_fc.bias"), b("in_bias", ffn)),
			stacked(at("mlp.c_proj.weight"), w("out", ffn)), vector(at("mlp.c_proj.bias"), b("out_bias", nil)))
	}
	return append(out, vec("ln_f.weight", "norm_gain"), vec("ln_f.bias", "norm_bias"))
}
