package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/ecospa/ecospa/pkg/checkpoint"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// sizes replace those of the golden models, where their config.json has the key.
var sizes = map[string]any{
	"vocab_size": 256, "n_positions": 256, "max_position_embeddings": 256, "original_max_position_embeddings": 256,
	"hidden_size": 64, "n_embd": 64, "intermediate_size": 128, "n_inner": 128, "num_attention_heads": 4, "n_head": 4, "num_key_value_heads": 2,
	"head_dim": 16, "query_pre_attn_scalar": 16, "dim_model_base": 32, "sliding_window": 48, "local_attention": 48, "image_size": 6, "num_channels": 1,
	"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "rope_theta": 10000.0, "rope_local_base_freq": 10000.0,
}

// make writes a model of a row's family with random weights, a tokenizer of bytes, and data.
func (w *work) make(r row) (m model.Model, err error) {
	text, err := os.ReadFile(filepath.Join(w.golden, r.Golden, "config.json"))
	if err != nil {
		return nil, err
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	for key, to := range sizes {
		if c[key] != nil {
			c[key] = to
		}
	}
	for _, key := range []string{"num_hidden_layers", "n_layer"} {
		if c[key] != nil {
			c[key] = r.Layers
		}
	}
	delete(c, "layer_types")
	delete(c, "no_rope_layers")
	if c["no_rope_layer_interval"] != nil {
		c["no_rope_layer_interval"] = 4
	}
	if c["id2label"] != nil {
		c["id2label"], c["label2id"] = map[string]string{"0": "lying", "1": "slanted", "2": "standing"}, nil
		delete(c, "label2id")
	}
	maps.Copy(c, r.Keys)
	if text, err = json.Marshal(c); err != nil {
		return nil, err
	}
	if m, err = model.Parse(text); err != nil {
		return nil, err
	}
	dir := w.at(r.Name)
	if err := weights(m, text, dir); err != nil {
		return nil, err
	}
	if m.Arch().Image == nil {
		file, err := tokenizer.Bytes{}.JSON()
		if r.Tokenizer != "" {
			file, err = os.ReadFile(r.Tokenizer)
		}
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), file, 0o644); err != nil {
			return nil, err
		}
	}
	return m, w.data(r)
}

// weights are normal with a deviation of 1/sqrt(columns), gains near what the family starts
// them with.
func weights(m model.Model, config []byte, dir string) error {
	set, err := param.New(m.Specs())
	if err != nil {
		return err
	}
	defer set.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range set.Params {
		std := 0.05
		if len(p.Dims) > 1 {
			std = 1 / math.Sqrt(float64(p.Dims[len(p.Dims)-1].Size))
		}
		for i := range p.Data() {
			p.Data()[i] = p.Init.Mean + float32(std*rng.NormFloat64())
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return checkpoint.WriteDir(dir, checkpoint.Model{Config: config}.Files(set, m.Tensors(set), "F32"))
}

// data writes a text, records of texts, and images of bars.
func (w *work) data(r row) error {
	rng := rand.New(rand.NewPCG(3, 4))
	words := strings.Fields("the fox bear river small red old runs sees likes and a of under house by night day friend good")
	if r.Words != "" {
		words = strings.Fields(r.Words)
	}
	var text, records, images strings.Builder
	for i := range 400 {
		var line []string
		for range 6 + rng.IntN(6) {
			line = append(line, words[rng.IntN(len(words))])
		}
		fmt.Fprintln(&text, strings.Join(line, " ")+".")
		fmt.Fprintf(&records, "{\"text\": \"%s.\"}\n", strings.Join(line, " "))
		class, at := i%3, 1+rng.IntN(4)
		for y := range 6 {
			for x := range 6 {
				v := 2 * rng.Float64()
				if class == 0 && y == at || class == 1 && x == y || class == 2 && x == at {
					v += 8
				}
				fmt.Fprintf(&images, "%.2f,", v)
			}
		}
		fmt.Fprintln(&images, []string{"lying", "slanted", "standing"}[class])
	}
	for name, of := range map[string]string{"text.txt": text.String(), "short.txt": text.String()[:400], "records.jsonl": records.String(), "images.csv": images.String()} {
		if err := os.WriteFile(w.at(name), []byte(of), 0o644); err != nil {
			return err
		}
	}
	return nil
}
