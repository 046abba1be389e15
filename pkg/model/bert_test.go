package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/param"
)

// readBert reads a model directory.
func readBert(t *testing.T, dir string) (Model, *param.Set) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m, set, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return m, set
}

// renamed is a copy of a model directory with other names of tensors.
func renamed(t *testing.T, dir string, rename func(string) string) string {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(file)
	var head, out = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := json.Unmarshal(file[8:8+size], &head); err != nil {
		t.Fatal(err)
	}
	for n, v := range head {
		if n != "__metadata__" {
			n = rename(n)
		}
		out[n] = v
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, bytes.Repeat([]byte(" "), 7-(len(text)+7)%8)...)
	to := t.TempDir()
	whole := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), file[8+size:]...)
	for n, b := range map[string][]byte{"model.safetensors": whole, "config.json": config} {
		if err := os.WriteFile(filepath.Join(to, n), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestBertNames: a bare model with "bert." before its names, with gamma and beta for
// gains and biases, or without a pooler is the same model.
func TestBertNames(t *testing.T) {
	const dir = "../../testdata/minilm"
	_, want := readBert(t, dir)
	if want.Param("pooler") == nil || want.Param("head_dense") != nil {
		t.Fatal("expected a pooler, and no head")
	}
	for name, rename := range map[string]func(string) string{
		"prefix":         func(n string) string { return "bert." + n },
		"gamma and beta": strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace,
		"both": func(n string) string {
			return "bert." + strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(n)
		},
		"no pooler": func(n string) string { return strings.Replace(n, "pooler.dense", "cls.seq_relationship", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			_, got := readBert(t, renamed(t, dir, rename))
			if has := got.Param("pooler") != nil; has != (name != "no pooler") {
				t.Errorf("a pooler: %t", has)
			}
			for _, p := range got.Params {
				if !slices.Equal(p.Data(), want.Param(p.Name).Data()) {
					t.Errorf("%s differs", p)
				}
			}
		})
	}
}

// TestBertRoundTrip writes pruned encoders, with a head and without one, and reads them back.
func TestBertRoundTrip(t *testing.T) {
	for _, dir := range []string{"../../testdata/golden/bert", "../../testdata/minilm"} {
		m, set := readBert(t, dir)
		lists := param.Keep{{0, 2}, {1, 3}, {0, 1}}
		if err := set.Shrink(param.Cut{"layer.0.qk": lists, "layer.0.vo": lists, "layer.0.ffn": {{0, 3, 4}}, "layer.1.kv": {{0, 2}}}); err != nil {
			t.Fatal(err)
		}
		config, err := m.Config(set)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "model")
		if err := checkpoint.WriteDir(to, checkpoint.Model{Config: config}.Files(set, m.Tensors(set), "F32")); err != nil {
			t.Fatal(err)
		}
		m2, set2 := readBert(t, to)
		if len(set2.Params) != len(set.Params) {
			t.Fatalf("%d parameters, expected %d", len(set2.Params), len(set.Params))
		}
		for _, p := range set.Params {
			if !slices.Equal(p.Data(), set2.Param(p.Name).Data()) {
				t.Errorf("%s: %s differs", dir, p)
			}
		}
		if again, err := m2.Config(set2); err != nil || string(again) != string(config) {
			t.Errorf("config.json changes on the way (%v):\n%s\n%s", err, config, again)
		}
	}
}

// TestBertRefusals: what the family cannot hold is refused by the key.
func TestBertRefusals(t *testing.T) {
	for keys, want := range map[string]string{
		`"architectures":["BertForSequenceClassification"]`: "architectures has BertForSequenceClassification",
		`"is_decoder":true`:                        "is_decoder is true",
		`"position_embedding_type":"relative_key"`: "position_embedding_type",
		`"hidden_act":"relu"`:                      "hidden_act",
		`"num_attention_heads":5`:                  "divisible by heads",
		`"layer_norm_eps":-1`:                      "layer_norm_eps",
	} {
		if _, err := Parse([]byte(`{"model_type":"bert",` + keys + `}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", keys, err, want)
		}
	}
	for want, s := range map[string]Sizes{
		"model.kv_heads is 1": {Family: "bert", Layers: 1, Width: 4, Heads: 2, KVHeads: 1, Vocab: 9, Context: 8},
		"model.head_dim is 4": {Family: "bert", Layers: 1, Width: 4, Heads: 2, HeadDim: 4, Vocab: 9, Context: 8},
	} {
		if _, err := New(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}
