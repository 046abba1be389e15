package model

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/param"
)

// FuzzParse reads any bytes as config.json: an error on one line, or a model
// whose parameters can be laid out and whose config is read back as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []Sizes{
		{Family: "llama", Layers: 2, Width: 32, Heads: 4, KVHeads: 2, FFN: 48, Vocab: 64, Context: 16},
		{Family: "vit", Layers: 1, Width: 16, Heads: 2, FFN: 64, ImageSize: 8, PatchSize: 4, Channels: 1, Labels: 3, Distilled: true},
		{Family: "gpt2", Layers: 1, Width: 16, Heads: 2, FFN: 64, Vocab: 32, Context: 8},
	} {
		m, err := New(s)
		if err != nil {
			f.Fatal(err)
		}
		set, err := param.Layout(m.Specs())
		if err != nil {
			f.Fatal(err)
		}
		text, err := m.Config(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		for _, cut := range []struct{ from, to string }{
			{`"num_hidden_layers": 2`, `"num_hidden_layers": 4096`}, {`"hidden_size": 32`, `"hidden_size": 9007199254740993`}, {`"hidden_size": 32`, `"hidden_size": -32`},
			{`"n_embd": 16`, `"n_embd": 1073741824`}, {`"vocab_size": 64`, `"vocab_size": 68719476736`}, {`"num_attention_heads": 4`, `"num_attention_heads": 0`},
		} {
			f.Add([]byte(strings.Replace(string(text), cut.from, cut.to, 1)))
		}
	}
	f.Add([]byte(`{"model_type":"llama"}`))
	f.Add([]byte(`{"model_type":"llama","rope_scaling":{"rope_type":"llama3","factor":0}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q is no line", err)
			}
			return
		}
		specs := m.Specs()
		if len(specs) > 20*len(b)+100*maxLayers {
			t.Errorf("%d parameters from %d bytes", len(specs), len(b))
		}
		if len(specs) > 2000 { // sound, but slow
			return
		}
		set, err := param.Layout(specs)
		if err != nil || m.Restore(set) != nil {
			return
		}
		text, err := m.Config(set)
		if err != nil {
			t.Fatalf("an accepted config cannot be written: %v", err)
		}
		if !json.Valid(text) {
			t.Fatalf("wrote %q", text)
		}
		m2, err := Parse(text)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, text)
		}
		again, err := m2.Config(set)
		if err != nil || string(again) != string(text) {
			t.Errorf("the config changes on the way (%v):\n%s\n%s", err, text, again)
		}
	})
}
