package export

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/pkg/model"
)

// What a GGUF file of one shape for all layers holds, a directory holds, too.
func TestHFHoldsTheModel(t *testing.T) {
	for _, c := range ggufCases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.sizes, c.config, c.cut)
			gap := ""
			if c.gap != "" || c.arch == "deci" {
				gap = "--for hf"
			}
			dir := checkHF(t, f, gap)
			checkHFConfig(t, filepath.Join(dir, "config.json"), f)
		})
	}
}

// checkHF writes a directory and compares the logits; with a gap it must be refused
// for that without padding.
func checkHF(t *testing.T, f *fixture, gap string) (dir string) {
	t.Helper()
	o := Options{Format: "hf", DType: "F32"}
	p, err := New(f.m, f.set, o)
	if gap != "" {
		if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), gap) || !strings.Contains(err.Error(), "--pad") {
			t.Fatalf("got %v, expected ErrShape, %q and --pad", err, gap)
		}
		o.Pad = true
		p, err = New(f.m, f.set, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "m")
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := p.Check(dir, f.pool, f.probe)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Compare(got, f.logits(t), f.probe.Rows()); err != nil || d.Relative > 1e-5 {
		t.Fatalf("logits differ: %+v, %v", d, err)
	}
	return dir
}

// checkHFConfig holds what transformers asks of a config.
func checkHFConfig(t *testing.T, path string, f *fixture) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Hidden  int `json:"hidden_size"`
		Heads   int `json:"num_attention_heads"`
		HeadDim int `json:"head_dim"`
		Rope    *struct {
			Type  string    `json:"rope_type"`
			Short []float64 `json:"short_factor"`
		} `json:"rope_scaling"`
		Ecospa struct {
			model.Kept
			From model.Kept `json:"from"`
		} `json:"ecospa"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if f.m.Family() == "llama" && c.Hidden%c.Heads != 0 {
		t.Errorf("hidden_size %d, num_attention_heads %d", c.Hidden, c.Heads)
	}
	if c.Rope != nil && c.Rope.Type == "longrope" && len(c.Rope.Short) != c.HeadDim/2 {
		t.Errorf("%d factors for head_dim %d", len(c.Rope.Short), c.HeadDim)
	}
	for i, w := range c.Ecospa.From.Layers {
		if w != model.Layer(f.set, i) {
			t.Errorf("ecospa.from.layers[%d] is %+v, expected %+v", i, w, model.Layer(f.set, i))
		}
	}
}

// transformers is told to do what tokenizer.json says, and the names of the tokens
// that it asks for.
func TestHFTokenizer(t *testing.T) {
	f := newFixture(t, llama, "", nil)
	p, err := New(f.m, f.set, Options{Format: "hf", DType: "F32", Tokenizer: []byte(byteLevelJSON), EOS: 4, Front: []int32{6}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "m")
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64.0, "clean_up_tokenization_spaces": false, "bos_token": "<tab>", "eos_token": "<|end|>"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, expected %v", got, want)
	}
}
