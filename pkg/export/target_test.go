package export

import (
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
		{"gguf-deci", "llama", coupled.Kinds(), coupled.LayoutHeads, coupled.Kinds(), ""},
		{"hf", "gpt2", nil, coupled.LayoutUniform, ffn, ""},
		{"gguf-gpt2", "gpt2", ffn, coupled.LayoutUniform, ffn, ""},
		{"onnx", "gpt2", nil, coupled.LayoutPerHead, nil, ""},
		{"hf", "llama", coupled.Kinds(), "", nil, "does not take kind head"},
		{"hf", "llama", []coupled.Kind{coupled.QK}, "", nil, "prune kinds qk and vo together"},
		{"hf", "gpt2", []coupled.Kind{coupled.VO}, "", nil, "kind vo is to be pruned"},
		{"gguf-llama", "gpt2", nil, "", nil, "is for another family than gpt2"},
		{"tflite", "gpt2", nil, "", nil, "expected one of gguf-deci"},
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
