package export

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/coupled"
	"github.com/ecospa/ecospa/pkg/model"
)

// family is a small model of a family.
func family(t *testing.T, name string) model.Model {
	t.Helper()
	m, err := model.New(model.Sizes{Family: name, Layers: 1, Width: 8, Heads: 2, FFN: 4, Vocab: 5, Context: 4})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConstrain(t *testing.T) {
	ffn := []coupled.Kind{coupled.FFN}
	for _, c := range []struct {
		target, family string
		kinds          []coupled.Kind
		layout         string
		after          []coupled.Kind
		err            string
	}{
		{"hf", "llama", nil, coupled.LayoutUniform, nil, ""},
		{"gguf-llama", "llama", nil, coupled.LayoutUniform, nil, ""},
		{"gguf-deci", "llama", allUnits, coupled.LayoutHeads, allUnits, ""},
		{"hf", "gpt2", nil, coupled.LayoutUniform, ffn, ""},
		{"gguf-gpt2", "gpt2", ffn, coupled.LayoutUniform, ffn, ""},
		{"onnx", "gpt2", nil, coupled.LayoutPerHead, nil, ""},
		{"hf", "llama", allUnits, "", nil, "does not take kind head"},
		{"hf", "llama", []coupled.Kind{coupled.QK}, "", nil, "prune kinds qk and vo together"},
		{"hf", "gpt2", []coupled.Kind{coupled.VO}, "", nil, "kind vo is to be pruned"},
		{"gguf-llama", "gpt2", nil, "", nil, "is for another family than gpt2"},
		{"tflite", "gpt2", nil, "", nil, "expected one of gguf-bert, gguf-deci"},
	} {
		config := coupled.DefaultConfig()
		config.Kinds = c.kinds
		err := Constrain(c.target, family(t, c.family), &config)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s, %s, %v: got %v, expected %q", c.target, c.family, c.kinds, err, c.err)
			}
			continue
		}
		if err != nil || config.Layout != c.layout || !reflect.DeepEqual(config.Kinds, c.after) {
			t.Errorf("%s, %s: %v, layout %s, kinds %v; expected %s, %v", c.target, c.family, err, config.Layout, config.Kinds, c.layout, c.after)
		}
	}
	config := coupled.DefaultConfig()
	config.Ratio = map[coupled.Kind]float64{coupled.VO: 0.5}
	if err := Constrain("hf", family(t, "llama"), &config); err == nil {
		t.Error("a ratio of vo alone was taken")
	}
}

var allUnits = []coupled.Kind{coupled.QK, coupled.VO, coupled.FFN, coupled.Head}

// TestConstrainRounds: widths whose matrices fill blocks of Q8_0 go on doing so; what does
// not fill them, and who says how to round, is left alone.
func TestConstrainRounds(t *testing.T) {
	for name, c := range map[string]struct {
		sizes   model.Sizes
		roundTo int
		kinds   []coupled.Kind
		want    map[coupled.Kind]int
	}{
		"all fill blocks":        {model.Sizes{Width: 128, Heads: 4, FFN: 96}, 1, nil, map[coupled.Kind]int{coupled.FFN: 32, coupled.QK: 8, coupled.VO: 8}},
		"an odd number of heads": {model.Sizes{Width: 192, Heads: 3, FFN: 96}, 1, nil, map[coupled.Kind]int{coupled.FFN: 32, coupled.QK: 32, coupled.VO: 32}},
		"heads go too":           {model.Sizes{Width: 128, Heads: 4, FFN: 96}, 1, allUnits, map[coupled.Kind]int{coupled.FFN: 32}},
		"widths that fill none":  {model.Sizes{Width: 40, Heads: 4, FFN: 50}, 1, nil, map[coupled.Kind]int{}},
		"the user rounds":        {model.Sizes{Width: 128, Heads: 4, FFN: 96}, 2, nil, nil},
	} {
		c.sizes.Family, c.sizes.Layers, c.sizes.Vocab, c.sizes.Context = "llama", 1, 5, 4
		m, err := model.New(c.sizes)
		if err != nil {
			t.Fatal(err)
		}
		config := coupled.DefaultConfig()
		config.RoundTo, config.Kinds = c.roundTo, c.kinds
		if err := Constrain("gguf-deci", m, &config); err != nil || !reflect.DeepEqual(config.Round, c.want) {
			t.Errorf("%s: %v (%v), expected %v", name, config.Round, err, c.want)
		}
	}
}

// TestForRefusesWhatExportWouldRefuse: what a format has not, whatever the widths, is said
// before anything is pruned.
func TestForRefusesWhatExportWouldRefuse(t *testing.T) {
	const keys = `"vocab_size":9,"hidden_size":8,"intermediate_size":4,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":64`
	for config, want := range map[string]string{
		`{"model_type":"mistral","sliding_window":16,` + keys + `}`:                                                                                                                                 "has no sliding windows",
		`{"model_type":"mistral","sliding_window":null,` + keys + `}`:                                                                                                                               "",
		`{"model_type":"qwen2","rope_scaling":{"type":"linear","factor":2},` + keys + `}`:                                                                                                           "",
		`{"model_type":"qwen2","rope_scaling":{"rope_type":"yarn","factor":2},` + keys + `}`:                                                                                                        "",
		`{"model_type":"qwen2","rope_scaling":{"rope_type":"llama3","factor":2,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32},` + keys + `}`:                       "cannot be given frequencies",
		`{"model_type":"qwen2","rope_scaling":{"rope_type":"yarn","factor":2,"truncate":false},` + keys + `}`:                                                                                       "cannot be given frequencies",
		`{"model_type":"gemma3_text","sliding_window":16,"head_dim":4,"hidden_activation":"gelu_pytorch_tanh","rope_scaling":{"rope_type":"yarn","factor":2},` + keys + `,"num_hidden_layers":6}`:   "cannot be given frequencies",
		`{"model_type":"gemma3_text","sliding_window":16,"head_dim":4,"hidden_activation":"gelu_pytorch_tanh","rope_scaling":{"rope_type":"linear","factor":2},` + keys + `,"num_hidden_layers":6}`: "",
		`{"model_type":"gpt2","vocab_size":9,"n_embd":8,"n_layer":1,"n_head":2,"activation_function":"gelu"}`:                                                                                       "computes gelu_tanh only",
	} {
		m, err := model.Parse([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		c := coupled.DefaultConfig()
		err = Constrain("gguf-"+m.Table().GGUF.Arch, m, &c)
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrShape) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, expected %q", config, err, want)
		}
	}
}
