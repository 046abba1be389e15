package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// modern is a model of some keys, beside six layers with a window of 8 in two of three.
func modern(t *testing.T, more string) *encoder {
	t.Helper()
	m, err := Parse([]byte(`{"model_type":"modernbert","vocab_size":9,"hidden_size":12,"intermediate_size":5,"num_hidden_layers":6,"num_attention_heads":3,"local_attention":8,"max_position_embeddings":32` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*encoder)
}

// TestModernBERTNames: a bare model with "model." before its names is the same model.
func TestModernBERTNames(t *testing.T) {
	const dir = "../../testdata/modernbert"
	_, want := readBert(t, dir)
	_, got := readBert(t, renamed(t, dir, func(n string) string { return "model." + n }))
	if got.Param("layer.0.norm1_gain") != nil || got.Param("layer.1.norm1_gain") == nil || got.Param("norm_bias") != nil || got.Param("head_dense") != nil {
		t.Fatal("expected no norm of the first layer's attention, no biases and no head")
	}
	for _, p := range got.Params {
		if !slices.Equal(p.Data(), want.Param(p.Name).Data()) {
			t.Errorf("%s differs", p)
		}
	}
}

// TestModernBERTRotations: both spellings of the two bases, by layer.
func TestModernBERTRotations(t *testing.T) {
	for more, want := range map[string]string{
		``:                         "160000 10000 10000 160000 10000 10000",
		`,"local_rope_theta":null`: "160000 160000 160000 160000 160000 160000",
		`,"global_rope_theta":80,"local_rope_theta":40,"global_attn_every_n_layers":2`: "80 40 80 40 80 40",
		`,"rope_parameters":{"full_attention":{"rope_type":"default","rope_theta":80},"sliding_attention":{"rope_type":"default","rope_theta":40}},"layer_types":["sliding_attention","full_attention","full_attention","full_attention","full_attention","full_attention"]`: "40 80 80 80 80 80",
	} {
		m, got := modern(t, more), ""
		for i, r := range m.a.Rope {
			got += fmt.Sprint(" ", r.Theta)
			if local := r.Theta == *m.keys.(*modernBERT).LocalTheta; more != `,"local_rope_theta":null` && (m.a.Windows[i] == 8) != local {
				t.Errorf("%s: layer %d turns by %g and has the window %d", more, i, r.Theta, m.a.Windows[i])
			}
		}
		if got[1:] != want {
			t.Errorf("%s: bases are%s, expected %s", more, got, want)
		}
	}
	if w := modern(t, `,"local_attention":62`).a.Windows; w != nil {
		t.Errorf("windows are %v where every token sees all others", w)
	}
}

// TestModernBERTPresent: what other programs are told of the layers that are left.
func TestModernBERTPresent(t *testing.T) {
	for gone, want := range map[int]string{5: "", 2: "full_attention sliding_attention full_attention sliding_attention sliding_attention", 0: "layer 0 is gone"} {
		m := modern(t, "")
		set, err := param.New(m.Specs())
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Shrink(param.Cut{param.WholeLayer(gone): param.Keep{{}}}); err != nil {
			t.Fatal(err)
		}
		p, err := m.Present(set)
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("without layer %d: %v, expected %q", gone, err, want)
			}
			continue
		}
		shaped, err := p.Shaped(Shape{FFN: 5})
		if err != nil {
			t.Fatal(err)
		}
		types, _ := shaped["layer_types"].([]any)
		if got := strings.Trim(fmt.Sprint(types), "[]"); got != want || shaped["num_hidden_layers"] != 5.0 {
			t.Errorf("without layer %d: layer_types are %q, expected %q", gone, got, want)
		}
	}
}

// TestModernBERTRefusals: what the family cannot hold is refused by the key.
func TestModernBERTRefusals(t *testing.T) {
	for keys, want := range map[string]string{
		`"architectures":["ModernBertForTokenClassification"]`:           "architectures has ModernBertForTokenClassification",
		`"rope_parameters":{"full_attention":{"rope_type":"yarn"}}`:      `rope scaling type is "yarn"`,
		`"rope_scaling":{"rope_type":"linear","factor":2}`:               `rope scaling type is "linear"`,
		`"hidden_activation":"relu"`:                                     "hidden_activation",
		`"classifier_activation":"silu"`:                                 "classifier_activation",
		`"num_attention_heads":5`:                                        "heads of an even width",
		`"norm_eps":-1`:                                                  "norm_eps",
		`"local_attention":0`:                                            "local_attention 0",
		`"global_attn_every_n_layers":0`:                                 "global_attn_every_n_layers is 0",
		`"local_rope_theta":1`:                                           "local_rope_theta 1",
		`"layer_types":["full_attention"]`:                               "layer_types has 1 entries, expected 22",
		`"architectures":["ModernBertForMaskedLM"],"decoder_bias":false`: "decoder_bias is false",
		`"vocab_size":0`:                                                 "vocab_size 0",
	} {
		if _, err := Parse([]byte(`{"model_type":"modernbert",` + keys + `}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", keys, err, want)
		}
	}
	for want, s := range map[string]Sizes{
		"model.kv_heads is 1": {Family: "modernbert", Layers: 1, Width: 4, Heads: 2, KVHeads: 1, Vocab: 9, Context: 8},
		"model.head_dim is 4": {Family: "modernbert", Layers: 1, Width: 4, Heads: 2, HeadDim: 4, Vocab: 9, Context: 8},
	} {
		if _, err := New(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	if m, err := New(Sizes{Family: "modernbert", Layers: 1, Width: 12, Heads: 2, Vocab: 9, Context: 8}); err != nil || !m.Arch().MaskedLM || m.Arch().FFN != 32 || m.Arch().Rope[0].Theta != 160000 {
		t.Errorf("a model by its sizes: %v", err)
	}
	config, err := json.Marshal(modern(t, "").keys)
	if err != nil || strings.Contains(string(config), "rope_parameters") {
		t.Errorf("config.json has both spellings of the rotations: %s, %v", config, err)
	}
}
