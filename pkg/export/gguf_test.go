package export

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ecospa/ecospa/internal/gguf"
	"github.com/ecospa/ecospa/internal/ggufmodel"
	"github.com/ecospa/ecospa/pkg/model"
	"github.com/ecospa/ecospa/pkg/param"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

const llama3 = `{"model_type":"llama","vocab_size":256,"hidden_size":48,"intermediate_size":20,"num_hidden_layers":3,
"num_attention_heads":6,"num_key_value_heads":3,"head_dim":8,"max_position_embeddings":64,"rope_theta":500,"tie_word_embeddings":true,
"attention_bias":true,"mlp_bias":true,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32}}`

var (
	samePairs  = everywhere("qk", every(3, 0, 2, 3))
	otherPairs = param.Cut{"layer.1.qk": {{0, 2, 3}, {0, 1, 2}, {0, 2, 3}}}
	sixValues  = everywhere("vo", param.Keep{{0, 1, 2, 3, 4, 6}, {0, 1, 2, 3, 5, 7}, {1, 2, 3, 4, 5, 6}})
	sameFFN    = everywhere("ffn", param.Keep{{0, 1, 2, 4, 8, 9, 16}})
	otherFFN   = param.Cut{"layer.0.ffn": {{0, 1, 2, 4, 8, 9, 16}}, "layer.2.ffn": {{3}}}
	otherHeads = param.Cut{"layer.1.kv": {{0, 2}}}
)

// yarn is a scaling that leaves the first pairs of narrow heads as they are.
const yarn = `{"rope_type":"yarn","factor":4,"original_max_position_embeddings":2048,"beta_fast":16,"attention_factor":1.2}`

// scaled is the config of a small model whose rotation is scaled.
func scaled(family, by string) string {
	return `{"model_type":"` + family + `","vocab_size":258,"hidden_size":24,"intermediate_size":20,"num_hidden_layers":3,"num_attention_heads":6,"num_key_value_heads":3,"head_dim":8,"max_position_embeddings":64,"rope_scaling":` + by + `}`
}

// ggufCases: a model, what is cut from it, and what becomes of it in a GGUF file.
var ggufCases = []struct {
	name    string
	sizes   model.Sizes
	config  string
	cut     param.Cut
	arch    string
	gap     string // part of the refusal; "" when the shape fits
	factors bool
}{
	{"llama, dense", llama, "", nil, "llama", "", false},
	{"llama, uniform", llama, "", merge(samePairs, sixValues, sameFFN), "llama", "", true},
	{"llama, every other pair", llama, "", merge(everywhere("qk", every(3, 0, 2)), everywhere("vo", every(3, 1, 2, 5, 7))), "llama", "", false},
	{"llama, layers differ", llama, "", merge(samePairs, sixValues, otherFFN, otherHeads), "deci", "", true},
	{"llama, biases and llama3 scaling", llama, llama3, sameFFN, "llama", "", true},
	{"llama, pairs differ", llama, "", merge(otherPairs, sameFFN), "llama", "layer 1, K/V head 0 keeps 3 of the 4 rotation pairs", false},
	{"llama, v narrower than q", llama, "", everywhere("vo", every(3, 1, 2, 7)), "llama", "needs one width of all, 8", false},
	{"llama, q narrower than v", llama, "", samePairs, "llama", "needs one width of all, 8", false},
	{"llama, yarn, uniform", llama, scaled("llama", yarn), merge(samePairs, sixValues, sameFFN), "llama", "", true},
	{"llama, gain alone", llama, scaled("llama", `{"rope_type":"yarn","factor":1,"attention_factor":1.3}`), nil, "llama", "", false},
	{"qwen3, yarn", model.Sizes{}, scaled("qwen3", yarn), sameFFN, "qwen3", "", false},
	{"qwen3, linear", model.Sizes{}, scaled("qwen3", `{"rope_type":"linear","factor":3}`), sameFFN, "qwen3", "", false},
	{"gpt_neox, yarn", model.Sizes{}, `{"model_type":"gpt_neox","vocab_size":258,"hidden_size":32,"intermediate_size":20,"num_hidden_layers":3,"num_attention_heads":2,"rotary_pct":0.5,"max_position_embeddings":64,"rope_scaling":` + yarn + `}`,
		nil, "gptneox", "", false},
	{"gpt2, dense", gpt2, "", nil, "gpt2", "", false},
	{"gpt2, narrower everywhere", gpt2, "", sameFFN, "gpt2", "", false},
	{"gpt2, layers differ", gpt2, "", merge(otherFFN, otherHeads), "gpt2", "layer 0 keeps 7 feed-forward channels", false},
	{"gpt2, heads cut", gpt2, "", merge(everywhere("qk", every(3, 1, 5)), sixValues), "gpt2", "needs whole heads of 8", false},
}

func TestGGUFHoldsTheModel(t *testing.T) {
	for _, c := range ggufCases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.sizes, c.config, c.cut)
			want := f.logits(t)
			o := Options{Format: "gguf", DType: "F32", Tokenizer: byteTokenizer(t), EOS: -1}
			p, err := New(f.m, f.set, o)
			if c.gap != "" {
				if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), c.gap) || !strings.Contains(err.Error(), "--pad") {
					t.Fatalf("got %v, expected ErrShape about %q and --pad", err, c.gap)
				}
				o.Pad = true
				p, err = New(f.m, f.set, o)
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Architecture != c.arch || (len(p.Gaps) > 0) != (c.gap != "") {
				t.Fatalf("architecture %s, gaps %v; expected %s, gap %q", p.Architecture, p.Gaps, c.arch, c.gap)
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := p.Write(path); err != nil {
				t.Fatal(err)
			}
			if st, err := os.Stat(path); err != nil || st.Size() != p.Bytes {
				t.Fatalf("%v, %v; %d bytes planned", st, err, p.Bytes)
			}
			got, err := p.Check(path, f.pool, f.probe)
			if err != nil {
				t.Fatal(err)
			}
			// The scale and the frequencies are rounded to float32 once more.
			if d, err := Compare(got, want, f.probe.Rows()); err != nil || d.Relative > 1e-5 {
				t.Fatalf("logits differ: %+v, %v", d, err)
			}
			in, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			file, err := gguf.Read(in, p.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := file.Tensors["rope_freqs.weight"]; ok != c.factors {
				t.Errorf("rope_freqs.weight: %t, expected %t", ok, c.factors)
			}
		})
	}
}

func TestGGUFTypes(t *testing.T) {
	f := newFixture(t, llama, "", sameFFN)
	want := f.logits(t)
	// Relative to the largest logit; a few times the type's rounding, 2^-11, 2^-8
	// and 1/254, which three layers of random weights amplify.
	for dtype, limit := range map[string]float64{"F16": 8e-3, "BF16": 0.1, "Q8_0": 0.1} {
		p, err := New(f.m, f.set, Options{Format: "gguf", DType: dtype, Tokenizer: byteTokenizer(t), EOS: -1})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "m.gguf")
		var done, of int64
		p.Progress = func(phase string, d, o int64) {
			if phase != "writing" || d < done || d > o {
				t.Errorf("%s: after %d of %d come %d of %d", phase, done, of, d, o)
			}
			done, of = d, o
		}
		if err := p.Write(path); err != nil {
			t.Fatal(err)
		}
		if done != p.Bytes || of > 2*done {
			t.Errorf("%s: progress ends at %d of %d, the file has %d bytes", dtype, done, of, p.Bytes)
		}
		got, err := p.Check(path, f.pool, f.probe)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Compare(got, want, f.probe.Rows())
		if err != nil || d.Relative > limit || d.Largest == 0 {
			t.Errorf("%s: %+v, %v; expected more than 0 and at most %g", dtype, d, err, limit)
		}
		// Rows of 48 and 7 elements are no blocks of 32.
		if (dtype == "Q8_0") != (len(p.Other) > 0) {
			t.Errorf("%s: other types %v", dtype, p.Other)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := newFixture(t, gpt2, "", nil)
	gelu := newFixture(t, gpt2, `{"model_type":"gpt2","vocab_size":256,"n_embd":24,"n_layer":1,"n_head":3,"activation_function":"gelu"}`, nil)
	for _, c := range []struct {
		f    *fixture
		o    Options
		want string
	}{
		{f, Options{Format: "zip", DType: "F32"}, `format "zip" is unknown`},
		{f, Options{Format: "hf", DType: "Q8_0"}, `type "Q8_0" does not exist in format hf`},
		{f, Options{Format: "gguf", DType: "F32"}, "no tokenizer.json"},
		{f, Options{Format: "gguf", DType: "F32", Tokenizer: []byte(`{"model":{"type":"WordPiece"}}`)}, "a WordPiece model"},
		{gelu, Options{Format: "gguf", DType: "F32"}, "computes gelu_tanh only"},
	} {
		if _, err := New(c.f.m, c.f.set, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, expected %q", c.o.Format, err, c.want)
		}
	}
	f.set.Weights.Data[5] = float32(math.Inf(1))
	p, err := New(f.m, f.set, Options{Format: "gguf", DType: "F32", Tokenizer: byteTokenizer(t), EOS: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(filepath.Join(t.TempDir(), "m.gguf")); err == nil || !strings.Contains(err.Error(), "token_embd.weight is +Inf") {
		t.Errorf("an infinite weight: %v", err)
	}
}

// FuzzGGUFModel changes the keys and tensors of good files.
func FuzzGGUFModel(f *testing.F) {
	for _, s := range []model.Sizes{llama, gpt2} {
		s.Layers, s.Width, s.Heads, s.KVHeads, s.HeadDim, s.Vocab, s.Context, s.FFN = 1, 4, 2, 2, 2, 256, 4, 2
		m, err := model.New(s)
		if err != nil {
			f.Fatal(err)
		}
		set, err := param.New(m.Specs())
		if err != nil {
			f.Fatal(err)
		}
		text, err := tokenizer.Bytes{}.JSON()
		if err != nil {
			f.Fatal(err)
		}
		p, err := New(m, set, Options{Format: "gguf", DType: "F32", Tokenizer: text, EOS: -1})
		if err != nil {
			f.Fatal(err)
		}
		path := filepath.Join(f.TempDir(), "m.gguf")
		if err := p.Write(path); err != nil {
			f.Fatal(err)
		}
		good, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := gguf.Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		m, set, err := ggufmodel.Of(file, param.F32)
		if err != nil {
			return
		}
		defer set.Weights.Close()
		if 4*set.Count() > 4*len(b) {
			t.Fatalf("%d parameters of a %s in %d bytes", set.Count(), m.Family(), len(b))
		}
	})
}
