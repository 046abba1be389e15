package model

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ecospa/ecospa/pkg/param"
)

// bert is BERT (https://arxiv.org/abs/1810.04805), and MiniLM as sentence-transformers
// ships it: learned positions, token types, LayerNorm after each residual connection,
// multi-head attention and GELU, biases everywhere. The class BertForMaskedLM has the
// masked-language-model head; BertModel has none, and mostly a pooler.
type bert struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	VocabSize     int      `json:"vocab_size"`
	Hidden        int      `json:"hidden_size"`
	Layers        int      `json:"num_hidden_layers"`
	Heads         int      `json:"num_attention_heads"`
	Intermediate  int      `json:"intermediate_size"`
	Act           string   `json:"hidden_act"`
	MaxPositions  int      `json:"max_position_embeddings"`
	Types         int      `json:"type_vocab_size"`
	Eps           float64  `json:"layer_norm_eps"`
	InitRange     float64  `json:"initializer_range"`
	Tied          bool     `json:"tie_word_embeddings"`
	IsDecoder     bool     `json:"is_decoder"`
	Ecospa        *Kept    `json:"ecospa,omitempty"`
}

const bertModel, bertMasked = "BertModel", "BertForMaskedLM"

func init() {
	registerEncoder("bert", func() keys {
		return &bert{VocabSize: 30522, Hidden: 768, Layers: 12, Heads: 12, Intermediate: 3072, Act: "gelu", MaxPositions: 512, Types: 2, Eps: 1e-12, InitRange: 0.02, Tied: true}
	})
	ggufs["bert"] = bertConfig
}

// bertConfig is the config.json of a GGUF file, which has no head.
func bertConfig(h Header) map[string]any {
	return map[string]any{
		"model_type": "bert", "architectures": []string{bertModel}, "vocab_size": h.Int("vocab_size"), "hidden_size": h.Int("embedding_length"), "num_hidden_layers": h.Int("block_count"),
		"num_attention_heads": h.Int("attention.head_count"), "intermediate_size": h.Int("feed_forward_length"), "max_position_embeddings": h.Int("context_length"),
		"layer_norm_eps": h.Float("attention.layer_norm_epsilon"), "hidden_act": "gelu",
	}
}

func (k *bert) own() **Kept { return &k.Ecospa }

func (k *bert) sized(s Sizes) error {
	if s.FFN == 0 {
		s.FFN = 4 * s.Width
	}
	switch {
	case s.KVHeads != s.Heads:
		return fmt.Errorf("model.kv_heads is %d, but bert has as many as heads, %d", s.KVHeads, s.Heads)
	case s.HeadDim*s.Heads != s.Width:
		return fmt.Errorf("model.head_dim is %d, but bert's is width / heads, %d / %d", s.HeadDim, s.Width, s.Heads)
	}
	k.Architectures = []string{bertMasked}
	k.VocabSize, k.Hidden, k.Layers, k.Heads, k.Intermediate, k.MaxPositions = s.Vocab, s.Width, s.Layers, s.Heads, s.FFN, s.Context
	if s.Tied != nil {
		k.Tied = *s.Tied
	}
	return nil
}

func (k *bert) arch() (*Arch, error) {
	k.ModelType = "bert"
	class := bertModel
	if len(k.Architectures) > 0 {
		class = k.Architectures[0]
	}
	switch class {
	case "BertForPreTraining": // whose second head, of sentence pairs, is not read
		class = bertMasked
	case bertModel, bertMasked:
	default:
		return nil, fmt.Errorf("architectures has %s, expected BertModel, BertForMaskedLM or BertForPreTraining", short(class))
	}
	k.Architectures = []string{class}
	switch {
	case k.Layers < 1 || k.Layers > maxLayers || k.Heads < 1 || k.Hidden < 1 || k.Hidden%k.Heads != 0:
		return nil, fmt.Errorf("num_hidden_layers %d, hidden_size %d, num_attention_heads %d: expected positive, hidden_size divisible by heads", k.Layers, k.Hidden, k.Heads)
	case k.VocabSize < 1 || k.MaxPositions < 1 || k.Intermediate < 1 || k.Types < 1:
		return nil, fmt.Errorf("vocab_size %d, max_position_embeddings %d, intermediate_size %d, type_vocab_size %d: expected positive", k.VocabSize, k.MaxPositions, k.Intermediate, k.Types)
	case !(k.Eps >= 0 && k.Eps < 1):
		return nil, fmt.Errorf("layer_norm_eps is %g, expected 0 to 1", k.Eps)
	case k.IsDecoder:
		return nil, errors.New("is_decoder is true, expected false: an encoder")
	}
	act, err := activation("hidden_act", k.Act)
	if err == nil && act == SiLU {
		err = fmt.Errorf("hidden_act is %q, expected gelu, gelu_new or gelu_pytorch_tanh", k.Act)
	}
	d := k.Hidden / k.Heads
	return &Arch{
		Layers: k.Layers, Hidden: k.Hidden, FFN: k.Intermediate, Vocab: k.VocabSize, Positions: k.MaxPositions,
		Heads: k.Heads, KVHeads: k.Heads, HeadDim: d, Tied: k.Tied, LayerNorm: true, Eps: k.Eps, AddNorm: true, EmbedNorm: true,
		Learned: true, Types: k.Types, MaskedLM: class == bertMasked, HeadAct: act, Scale: square(d), Act: act, InitRange: k.InitRange,
		Bias: map[param.Role]bool{param.Q: true, param.O: true, param.Up: true, param.Down: true, param.HeadDense: true},
	}, err
}

func (k *bert) shaped(s Shape) { k.Intermediate = s.FFN }

// table: files of the bare model lack "bert." before names, and old ones call a norm's
// gain gamma and its bias beta.
func (k *bert) table() *Table {
	t := &Table{Class: k.Architectures[0], FixedHeads: true, GGUF: &GGUF{Arch: "bert"}}
	prefix, other := "bert.", ""
	if t.Class == bertModel {
		prefix, other = other, prefix
	} else {
		t.GGUF.Refuse = "has no masked-language-model head"
	}
	add := func(prefix, other, hf, gguf string, role param.Role) {
		n := entry(prefix+hf, gguf, role)
		names := []string{n.HF}
		if IsNorm(role) || IsNorm(param.Role(strings.TrimSuffix(string(role), "_bias"))) {
			names = append(names, strings.NewReplacer(".weight", ".gamma", ".bias", ".beta").Replace(n.HF))
		}
		if prefix != other {
			for _, name := range names {
				names = append(names, other+strings.TrimPrefix(name, prefix))
			}
		}
		n.Aliases = names[1:]
		t.Tensors = append(t.Tensors, n)
	}
	both := func(hf, gguf string, role param.Role) {
		add(prefix, other, hf, gguf, role)
		add(prefix, other, hf, gguf, role.Bias())
	}
	add(prefix, other, "embeddings.word_embeddings", "token_embd", param.Embed)
	add(prefix, other, "embeddings.position_embeddings", "position_embd", param.Positions)
	add(prefix, other, "embeddings.token_type_embeddings", "token_types", param.TokenTypes)
	both("embeddings.LayerNorm", "token_embd_norm", param.EmbedNorm)
	const layer, gguf = "encoder.layer.%d.", "blk.%d."
	both(layer+"attention.self.query", gguf+"attn_q", param.Q)
	both(layer+"attention.self.key", gguf+"attn_k", param.K)
	both(layer+"attention.self.value", gguf+"attn_v", param.V)
	both(layer+"attention.output.dense", gguf+"attn_output", param.O)
	both(layer+"attention.output.LayerNorm", gguf+"attn_output_norm", param.Norm1)
	both(layer+"intermediate.dense", gguf+"ffn_up", param.Up)
	both(layer+"output.dense", gguf+"ffn_down", param.Down)
	both(layer+"output.LayerNorm", gguf+"layer_output_norm", param.Norm2)
	both("pooler.dense", "", param.Pooler)
	head := func(hf string, role param.Role) { add("", "", "cls.predictions."+hf, "", role) }
	for _, r := range []param.Role{param.HeadDense, param.HeadDense.Bias()} {
		head("transform.dense", r)
	}
	for _, r := range []param.Role{param.HeadNorm, param.HeadNorm.Bias()} {
		head("transform.LayerNorm", r)
	}
	head("decoder", param.Head)
	t.Tensors = append(t.Tensors, Name{Roles: []param.Role{param.Head.Bias()}, HF: "cls.predictions.bias", Aliases: []string{"cls.predictions.decoder.bias"}})
	return t
}

func (k *bert) layers(from []int) { k.Layers = len(from) }
