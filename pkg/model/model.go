package model

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/graph"
	"github.com/ecospa/ecospa/pkg/param"
)

// Model is one family at given sizes.
type Model interface {
	// Family is the family's name, Hugging Face's model_type.
	Family() string
	// Context is the longest sequence in tokens, Vocab the number of token ids.
	Context() int
	Vocab() int
	// Specs are the parameters at the present sizes: dense ones, or those of the
	// pruned model whose config.json was parsed.
	Specs() []param.Spec
	// Restore tells a new set what the config knows beyond sizes: which layers and
	// rotation pairs of the dense model it still has.
	Restore(set *param.Set) error
	// DenseSpecs are the parameters before any pruning.
	DenseSpecs() []param.Spec
	// Loss describes the training and evaluation graph over B sequences of T
	// tokens (a Classifier: images): inputs "ids", "targets" [B·T] and "scale", outputs "loss" and "nll"
	// [B·T], a tap for every coupled dimension, sites "layer.N.input", ".qkv", ".ctx",
	// ".mid" (the residual stream after attention) and ".hidden", and "output" (the
	// residual stream before the last norm). With from > 0 it begins at that layer, whose input is "hidden"
	// [B·T, E] instead of "ids".
	Loss(b *graph.Builder, B, T, from int)
	// Decode describes inference without a cache: B sequences of T tokens;
	// input "ids", output "logits" of every sequence's last token
	// [B, V], or of all tokens [B·T, V].
	Decode(b *graph.Builder, B, T int, all bool)
	// Head is the matrix [V, E] that makes logits, and its bias [V] or nil.
	Head(set *param.Set) (w, bias *param.Param)
	// Scale multiplies q·k before the softmax: 1/sqrt of the dense model's head width.
	Scale() float64
	// Arch is the sizes and switches of what it computes.
	Arch() *Arch
	// Table is what its parameters are called in files.
	Table() *Table
	// Shaped is the config.json of a whole model with this shape in every layer, for
	// other programs; without an "ecospa" object.
	Shaped(Shape) (map[string]any, error)
	// Present is the model that a set is now as far as whole layers go: its Arch, Table and
	// Shaped are of the layers that the set has.
	Present(set *param.Set) (Model, error)
	// UnknownKeys are the keys of the config.json that nobody reads, sorted.
	UnknownKeys() []string
	// Cache is the floats a token that each layer keeps of keys and of values.
	Cache(set *param.Set) [][2]int
	// Tensors says how the parameters are called and laid out on disk.
	Tensors(set *param.Set) []checkpoint.Tensor
	// Config is config.json for the present shapes of set: the family's Hugging
	// Face keys, and an "ecospa" object with what those cannot say.
	Config(set *param.Set) ([]byte, error)
}

// Decoder is a Model of text that writes on, whose logits can be made for chosen rows.
type Decoder interface {
	Model
	// Hidden is the residual stream after the last norm of B sequences of T tokens,
	// (B·T, E). Its input is "ids". With a cache T is 1: rows of any of its sequences.
	Hidden(b *graph.Builder, cache *graph.Cache, B, T int) *graph.Node
	// HiddenRows is Hidden, with a cache, of some rows of N: only what their keys and values
	// are needed for is computed of the others in the last layer.
	HiddenRows(b *graph.Builder, cache *graph.Cache, N int, rows *graph.Node) *graph.Node
	// Logits are those of rows of Hidden: (rows, V).
	Logits(b *graph.Builder, h *graph.Node) *graph.Node
}

// Ignorable lists patterns (path.Match) of tensors that old files carry and
// nobody needs: mask buffers, rotary frequencies, positions' numbers, poolers that no
// hidden state depends on, the head of a model that ties it to the embedding, an
// encoder's head for pairs of sentences.
var Ignorable = []string{"lm_head.weight", "*.attn.bias", "*.attn.masked_bias", "*.attention.bias", "*.attention.masked_bias", "*.rotary_emb.inv_freq", "*pooler.dense.*",
	"embeddings.position_ids", "bert.embeddings.position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "cls.seq_relationship.*", "decoder.weight"}

// family is what a file of this package registers.
type family struct {
	parse func(config []byte) (Model, error)
	new   func(Sizes) (Model, error)
}

var families = map[string]family{}

func register(name string, f family) {
	if _, ok := families[name]; ok {
		panic("model: family registered twice: " + name)
	}
	families[name] = f
}

// refused are families that people ask for, with the reason why they are not here.
var refused = map[string]string{}

func init() {
	for why, names := range map[string]string{
		"it is a mixture of experts":                         "mixtral qwen2_moe qwen3_moe olmoe granitemoe granitemoeshared phimoe deepseek_v2 deepseek_v3 llama4 llama4_text gpt_oss glm4_moe ernie4_5_moe dbrx jetmoe",
		"it has recurrent layers (gated delta rule)":         "qwen3_next qwen3_5 qwen3_5_text qwen3_5_moe",
		"it has recurrent layers (state space)":              "mamba mamba2 falcon_mamba jamba bamba falcon_h1 zamba zamba2 granitemoehybrid nemotron_h recurrent_gemma rwkv lfm2",
		"it is an encoder with a decoder":                    "t5 mt5 umt5 bart mbart pegasus marian whisper t5gemma",
		"it reads images too; its text model is gemma3_text": "gemma3",
		"it reads images too":                                "gemma3n qwen2_vl qwen2_5_vl qwen3_vl llava mllama paligemma idefics3 smolvlm",
	} {
		for _, n := range strings.Fields(names) {
			refused[n] = why
		}
	}
}

func byName(name string) (family, error) {
	if f, ok := families[name]; ok {
		return f, nil
	}
	var names []string
	for n := range families {
		names = append(names, n)
	}
	if why, ok := refused[name]; ok {
		return family{}, fmt.Errorf("family %q is not supported: %s", name, why)
	}
	sort.Strings(names)
	return family{}, fmt.Errorf("family %q is unknown, expected one of %s", name, strings.Join(names, ", "))
}

// Families lists the families of which New makes models, sorted.
func Families() (names []string) {
	for n, f := range families {
		if f.new != nil {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}

// New makes the model of explicit or named sizes.
func New(s Sizes) (Model, error) {
	s, err := s.resolve()
	if err != nil {
		return nil, err
	}
	f, err := byName(s.Family)
	if err != nil {
		return nil, fmt.Errorf("model.family: %w", err)
	}
	return f.new(s)
}

// Parse makes the model that a config.json describes, by its model_type.
func Parse(config []byte) (Model, error) {
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(config, &head); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	f, err := byName(head.ModelType)
	if err != nil {
		return nil, fmt.Errorf("config.json: model_type: %w", err)
	}
	return f.parse(config)
}

// maxLayers bounds hostile configs; sizes are bounded by param.New.
const maxLayers = 1 << 12

// Sees says which tokens a token of a layer of a set reads: with both also those after it;
// window is that of kernel.AttnShape, 0 for none.
func Sees(m Model, set *param.Set, layer int) (both bool, window int) {
	a := m.Arch().of(set)
	if a.Windows != nil {
		window = a.Windows[layer]
	}
	return !a.Causal, window
}
